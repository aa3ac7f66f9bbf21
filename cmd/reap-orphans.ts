// What the first process of a container owes: children whose parent ended become its own, and stay in the table of processes
// as dead ones until it asks for their end. Source: wait(2), pid_namespaces(7).

import { readFile } from 'node:fs/promises';
import { openLibC } from '../internal/net/linux/libc.ts';
import type { CommandContext } from './context.ts';

/** Node asks for the ends of children that it started, at once: whatever is still dead after so long is an orphan. */
const patienceMs = 1_000;
/** WNOHANG of Linux. */
const withoutWaiting = 1;

/** Begins; nothing happens unless this is the first process of a Linux system or container. */
export function reapOrphans({ onSignal, pid, platform }: Pick<CommandContext, 'onSignal' | 'pid' | 'platform'>): void {
  if (pid !== 1 || platform !== 'linux') return;
  let isAwaited = false;
  const look = async (): Promise<void> => {
    isAwaited = false;
    try {
      const dead = await deadChildren(pid);
      if (dead.length === 0) return;
      const { waitpid } = await openLibC();
      for (const child of dead) waitpid(child, null, withoutWaiting);
    } catch {
      // Without /proc or calls of the system they stay: a line in the table each, and nothing else.
    }
  };
  onSignal('SIGCHLD', () => {
    // Those that die meanwhile are seen by the same look, or the next: each sends its signal.
    if (isAwaited) return;
    isAwaited = true;
    setTimeout(() => void look(), patienceMs).unref();
  });
}

async function deadChildren(pid: number): Promise<readonly number[]> {
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'latin1')).split(' ').map(Number);
  const states = await Promise.all(
    children.filter(child => child > 0).map(async child => ({ child, dead: await isDead(child) })),
  );
  return states.filter(({ dead }) => dead).map(({ child }) => child);
}

/** The state is the first word after the name, which may hold anything. */
async function isDead(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  return text.slice(text.lastIndexOf(')') + 2).startsWith('Z');
}
