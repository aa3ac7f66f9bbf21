// Counts the instructions that a process executes while a load runs, with perf(1): on a shared machine they vary by a few
// percent where CPU seconds vary by half. Only for --instructions; needs perf and a machine that lets it count.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface InstructionCounter {
  /** Instructions so far of user and kernel together. Rejects when perf could not count. */
  stop(): Promise<number>;
}

/** Counts every thread of the processes, and of their children that are there now. */
export async function countInstructions(
  processes: readonly number[],
  children: readonly number[],
): Promise<InstructionCounter> {
  const pids = [...processes, ...children].join(',');
  const child = spawn('perf', ['stat', '-x', ',', '-e', 'instructions:u,instructions:k', '-p', pids], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let output = '';
  child.stderr.on('data', (text: Buffer) => {
    output += text;
  });
  const exited = once(child, 'close');
  await once(child, 'spawn');
  // perf says nothing when it has attached; it takes some milliseconds.
  await new Promise(resolve => setTimeout(resolve, 200));
  return {
    async stop() {
      child.kill('SIGINT');
      await exited;
      const counts = [...output.matchAll(/^(\d+),,instructions/gm)].map(match => Number(match[1]));
      if (counts.length !== 2) throw new Error(`perf could not count instructions: ${output.trim()}`);
      return counts.reduce((sum, count) => sum + count, 0);
    },
  };
}
