// A program as a child process, watched: its exit code, its log lines, its end. For tests and for what runs without a test
// around it (benchmark, interoperability).

import { type ChildProcess, spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { within } from './wait.ts';

/** This checkout. */
export const repository = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Disposing of it stops it. */
export interface ChildProgram extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly pid: number;
  /** `performance.now()` when it was started. */
  readonly startedMs: number;
  /** Exit code, or the signal that killed it. */
  readonly exited: Promise<number | string>;
  /** Everything written to stderr so far. */
  readonly log: () => string;
  readonly output: () => string;
  /** Settles with the first match of `pattern` in the log, also an earlier one. Fails when the program ends without it. */
  logged(pattern: RegExp): Promise<RegExpExecArray>;
  /** Asks it to end, kills it after ten seconds, and gives its exit code or the signal. */
  stop(): Promise<number | string>;
}

export interface ChildOptions {
  /** Home and working directory. */
  readonly home: string;
  /** Beside HOME and PATH. */
  readonly env?: Readonly<Record<string, string>>;
}

const stopMs = 10_000;

/** The words that start `postern`, of this checkout or another one. */
export function posternCommand(nodeFlags: readonly string[] = [], root = repository): readonly string[] {
  return [process.execPath, '--disable-warning=ExperimentalWarning', ...nodeFlags, join(root, 'cmd', 'postern.js')];
}

/** Starts `command`, a path and its arguments. */
export function startChild(command: readonly string[], { home, env }: ChildOptions): ChildProgram {
  const [file = '', ...args] = command;
  const startedMs = performance.now();
  const child = spawn(file, args, {
    cwd: home,
    env: { HOME: home, PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  let output = '';
  const waiting = new Set<() => void>();
  const wake = (): void => {
    for (const look of waiting) look();
  };
  child.stderr.on('data', chunk => {
    log += chunk;
    wake();
  });
  child.stdout.on('data', chunk => {
    output += chunk;
  });
  const exited = new Promise<number | string>(resolve => {
    child.once('error', error => {
      log += `${error.message}\n`;
      resolve('not started');
      wake();
    });
    child.once('close', (code, signal) => {
      resolve(code ?? signal ?? 'unknown');
      wake();
    });
  });
  const find = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = pattern.exec(log);
        const runs = child.pid !== undefined && child.exitCode === null && child.signalCode === null;
        if (found === null && runs) return;
        waiting.delete(look);
        if (found === null) reject(new Error(`The program ended without logging ${pattern}:\n${log}`));
        else resolve(found);
      };
      waiting.add(look);
      look();
    });
  const stop = async (): Promise<number | string> => {
    const timer = setTimeout(() => child.kill('SIGKILL'), stopMs);
    child.kill('SIGTERM');
    const end = await exited;
    clearTimeout(timer);
    return end;
  };
  return {
    child,
    pid: child.pid ?? 0,
    startedMs,
    exited,
    log: () => log,
    output: () => output,
    logged: pattern =>
      within(`the log line ${pattern}`, find(pattern)).catch((error: unknown) => {
        throw new Error(`${error instanceof Error ? error.message : error}\n${log}`);
      }),
    stop,
    [Symbol.asyncDispose]: async () => void (await stop()),
  };
}
