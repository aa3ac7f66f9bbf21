// Starts the real program as a user would and watches it: its exit code, its log lines, its signals.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { within } from './wait.ts';

const entry = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'cmd', 'postern.js');

export interface Program {
  readonly child: ChildProcess;
  /** Exit code, or the signal that killed it. */
  readonly exited: Promise<number | string>;
  /** Everything written to stderr so far. */
  readonly log: () => string;
  readonly output: () => string;
  /** Settles with the first match of `pattern` in the log, also an earlier one. Fails when the program ends without it. */
  logged(pattern: RegExp): Promise<RegExpExecArray>;
}

/** An empty directory that is removed with the test. */
export async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-test-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Runs `postern ARGS` with an environment of its own; it is killed when the test ends. */
export function startProgram(
  t: TestContext,
  args: readonly string[],
  options: {
    readonly home: string;
    readonly env?: Readonly<Record<string, string>>;
    /** Words that run the program somewhere else: `ip netns exec NAME`. */
    readonly prefix?: readonly string[];
  },
): Program {
  const [file = '', ...words] = [
    ...(options.prefix ?? []),
    ...[process.execPath, '--disable-warning=ExperimentalWarning', entry, ...args],
  ];
  const child = spawn(file, words, {
    cwd: options.home,
    env: { HOME: options.home, PATH: process.env.PATH ?? '', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  let output = '';
  const waiting = new Set<() => void>();
  child.stderr.on('data', chunk => {
    log += chunk;
    for (const wake of waiting) wake();
  });
  child.stdout.on('data', chunk => {
    output += chunk;
  });
  const exited = new Promise<number | string>(resolve => {
    child.once('close', (code, signal) => {
      resolve(code ?? signal ?? 'unknown');
      for (const wake of waiting) wake();
    });
  });
  t.after(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const find = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = pattern.exec(log);
        if (found === null && child.exitCode === null && child.signalCode === null) return;
        waiting.delete(look);
        if (found === null) reject(new Error(`The program ended without logging ${pattern}:\n${log}`));
        else resolve(found);
      };
      waiting.add(look);
      look();
    });
  return {
    child,
    exited,
    log: () => log,
    output: () => output,
    logged: pattern =>
      within(`the log line ${pattern}`, find(pattern)).catch((error: unknown) => {
        throw new Error(`${error instanceof Error ? error.message : error}\n${log}`);
      }),
  };
}
