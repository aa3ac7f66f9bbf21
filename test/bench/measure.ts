// One measured load: what the load process tells of it, and what each process of the contender used meanwhile.

import type { Contender, Role } from './contender.ts';
import { countInstructions } from './instructions.ts';
import type { LoadResult } from './load.ts';
import type { LoadClient } from './load-client.ts';
import type { LoadCommand } from './load-process.ts';
import { childrenOf, cpuSeconds, watchMemory } from './process-usage.ts';

export interface Use {
  readonly role: Role;
  readonly cpuSeconds: number;
  readonly peakMb: number;
}

export interface Sample extends LoadResult {
  readonly use: readonly Use[];
  /** Of all its processes together; NaN when not counted. */
  readonly instructions: number;
}

export async function measure(
  load: LoadClient,
  command: LoadCommand,
  contender: Contender,
  countsInstructions: boolean,
): Promise<Sample> {
  const pids = contender.processes.map(({ pid }) => pid);
  const counter = countsInstructions ? await countInstructions(pids, pids.flatMap(childrenOf)) : undefined;
  const running = contender.processes.map(({ role, pid }) => ({
    ...{ role, pid },
    memory: watchMemory(pid),
    before: cpuSeconds(pid),
  }));
  const result = await load.run(command);
  const use = running.map(({ role, pid, memory, before }) => ({
    ...{ role, cpuSeconds: cpuSeconds(pid) - before, peakMb: memory.stop() },
  }));
  return { ...result, use, instructions: (await counter?.stop()) ?? Number.NaN };
}
