// Runs the command line inside the test's process, with streams and directories of its own.

import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { runCli } from '../../cmd/cli.ts';
import { posternCommand } from './child-program.ts';

export interface CliOutcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** `home` is both home and working directory. Rejects when the command asks for an immediate exit. */
export async function runPostern(
  home: string,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliOutcome> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const code = await runCli(argv, {
    ...{
      env,
      stdin,
      stdout,
      stderr,
      stdinIsTerminal: false,
      stderrIsTerminal: false,
      program: posternCommand(),
      cwd: home,
      homeDir: home,
      pid: process.pid,
      platform: 'linux',
    },
    onSignal: () => () => undefined,
    runAgain: () => undefined,
    exitNow: exitCode => {
      throw new Error(`exitNow(${exitCode})`);
    },
  });
  stdout.end();
  stderr.end();
  return { code, stdout: await text(stdout), stderr: await text(stderr) };
}
