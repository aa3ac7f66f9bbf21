// One measured load: what the load process tells of it, and what the process under test used meanwhile.

import { countInstructions } from './instructions.ts';
import type { LoadClient } from './load-client.ts';
import type { LoadCommand } from './load-process.ts';
import { childrenOf, cpuSeconds, watchMemory } from './process-usage.ts';
import type { Sample } from './report.ts';

export interface Subject {
  /** With its children. */
  readonly pid: number;
  /** Port of the proxy; undefined for the connector, which is reached through its connections. */
  readonly proxyPort?: number;
  readonly countsInstructions: boolean;
}

/** nginx's only: it has no compiler that would have to settle. */
export const proxyWarmUpSeconds = 1;

export async function measure(
  load: LoadClient,
  command: Omit<LoadCommand, 'proxyPort'>,
  subject: Subject,
): Promise<Sample> {
  const { pid, proxyPort, countsInstructions } = subject;
  const counter = countsInstructions ? await countInstructions(pid, childrenOf(pid)) : undefined;
  const memory = watchMemory(pid);
  const before = cpuSeconds(pid);
  const result = await load.run({ ...command, ...(proxyPort === undefined ? {} : { proxyPort }) });
  const cpu = cpuSeconds(pid) - before;
  const instructions = (await counter?.stop()) ?? Number.NaN;
  return {
    requestsPerSecond: (result.requests / result.elapsedMs) * 1e3,
    mbPerSecond: result.bytes / result.elapsedMs / 1e3,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    cpuPer10k: (cpu / result.requests) * 1e4,
    cpuPerGb: (cpu / result.bytes) * 1e9,
    kiloInstructionsPerRequest: instructions / result.requests / 1e3,
    kiloInstructionsPerMb: (instructions / result.bytes) * 1e3,
    peakMb: memory.stop(),
    failures: result.failures,
  };
}
