// Another process that holds the write lock of a SQLite file, as a backup or an SQL shell does.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { within } from './wait.ts';

export interface HeldLock {
  /** Settles when the other process has let go and ended. */
  release(): Promise<void>;
}

/** Settles when the lock is held; it ends with the test at the latest. */
export async function holdLock(t: TestContext, path: string): Promise<HeldLock> {
  const holder = join(import.meta.dirname, 'store-lock-holder.ts');
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', holder, path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  t.after(() => child.kill('SIGKILL'));
  await within('the other process to take the lock', once(child.stdout, 'data'));
  return {
    release: async () => {
      child.stdin.end();
      await within('the other process to end', exited);
    },
  };
}
