#!/usr/bin/env node
// The program's entry: makes the process value and runs the command line. Commands take arguments,
// environment, directories and streams from that value only.

import { realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, parse } from 'node:path';
import { isSea } from 'node:sea';
import { runCli } from './cli.ts';

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // The reader of a pipe went away (`postern … | head`): nobody is left to tell.
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}

const program = ownProgram();
const args = process.argv.slice(2);
let runsAgain = false;

const running = runCli(args, {
  env: process.env,
  stdin: process.stdin,
  stdinIsTerminal: process.stdin.isTTY === true,
  stdout: process.stdout,
  stderr: process.stderr,
  stderrIsTerminal: process.stderr.isTTY === true,
  program,
  cwd: workingDirectory(),
  homeDir: homeDirectory(),
  pid: process.pid,
  platform: process.platform,
  onSignal: (name, handler) => {
    process.on(name, handler);
    return () => {
      process.off(name, handler);
    };
  },
  runAgain: () => {
    runsAgain = true;
  },
  exitNow: code => process.exit(code),
});
// No await at the top: the single binary is CommonJS, which has none. Never rejects.
void running.then(code => {
  process.exitCode = code;
  // Windows has no such call.
  if (runsAgain) process.execve?.(program[0] ?? '', [...program, ...args]);
});

/** A single executable is its own script. */
function ownProgram(): readonly string[] {
  if (isSea()) return [process.execPath];
  const [, script = ''] = process.argv;
  return [process.execPath, ...process.execArgv, realpathSync(script)];
}

/** Where it was removed, paths still mean what they meant there, and whoever asks the system gets a directory that exists. */
function workingDirectory(): string {
  try {
    return process.cwd();
  } catch {
    process.chdir('/');
    const { PWD = '' } = process.env;
    return isAbsolute(PWD) ? PWD : process.cwd();
  }
}

/** A user without an entry in the system's list, as in containers, has the root for a home. */
function homeDirectory(): string {
  try {
    return homedir();
  } catch {
    return parse(process.cwd()).root;
  }
}
