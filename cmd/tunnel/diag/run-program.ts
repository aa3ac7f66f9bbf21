// Runs a program of the system for its output: bounded in time and size, ended with the diagnosis.

import { spawn } from 'node:child_process';
import { foreignCode, PosternError } from '../../../internal/errors/error.ts';

export interface ProgramOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  /** Of the output the last so many are kept. */
  readonly maxBytes: number;
}

/** How much of what a failing program says is quoted. */
const quotedBytes = 500;

/** Resolves to what the program wrote to both outputs. Rejects 'health.failed' when it cannot be run, failed, or was too slow. */
export function runProgram(words: readonly string[], { env, maxBytes, signal }: ProgramOptions): Promise<string> {
  const [program = '', ...args] = words;
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown): void =>
      reject(new PosternError('health.failed', `${words.join(' ')}: ${why}`, { cause }));
    const child = spawn(program, args, { env, signal, killSignal: 'SIGKILL', stdio: ['ignore', 'pipe', 'pipe'] });
    let output = Buffer.alloc(0);
    const take = (chunk: Buffer): void => {
      output = Buffer.concat([output, chunk]);
      // Cut seldom: each cut is a copy.
      if (output.length > 2 * maxBytes) output = output.subarray(-maxBytes);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.once('error', error => {
      if (signal.aborted) fail('it took too long and was ended');
      else if (foreignCode(error) === 'ENOENT') fail(`${program} is not installed, or not in PATH`);
      else fail('it cannot be run', error);
    });
    child.once('close', (code, killed) => {
      const text = output.subarray(-maxBytes).toString('utf8');
      if (code === 0) resolve(text);
      else fail(`it ended with ${code ?? killed}: ${text.slice(0, quotedBytes).trim()}`);
    });
  });
}
