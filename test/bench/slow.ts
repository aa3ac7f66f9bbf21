// npm run bench -- --only slow: one fast visitor beside many slow ones, through edge and connector, over both transports:
// what the fast one notices, and what the slow ones cost in memory. Every case has processes of its own.

import { fork } from 'node:child_process';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { hearing } from './child-events.ts';
import type { Contender, OriginPorts } from './contender.ts';
import { type LoadClient, openLoadClient, openSlowOrigin } from './load-client.ts';
import { measure } from './measure.ts';
import { ensureNginx, openNginxOrigin } from './nginx.ts';
import type { BenchOptions } from './options.ts';
import { openPair, type PairProgram, pairPrograms } from './pair.ts';
import { residentMb } from './process-usage.ts';
import { labelOf, type SlowCase, slowCases } from './slow-case.ts';
import type { SlowEvent } from './slow-process.ts';
import { formatSlow, type SlowResult } from './slow-report.ts';

const script = join(dirname(fileURLToPath(import.meta.url)), 'slow-process.ts');
const heard = hearing<SlowEvent>();
/** A request of the fast visitor that takes so long has failed. */
const timeoutMs = 5_000;
/** Load before the slow visitors come, in seconds: the first requests of a process are slow whoever else is there. */
const warmUpSeconds = 1;
/** Idle time before memory is read. */
const restMs = 500;

interface Parts {
  readonly options: BenchOptions;
  readonly directory: string;
  readonly origins: OriginPorts;
  readonly load: LoadClient;
}

/** Gives the report as text. */
export async function benchSlow(options: BenchOptions, directory: string): Promise<string> {
  if (!options.subjects.has('slow')) return '';
  await using closing = new AsyncDisposableStack();
  const http = closing.use(await openNginxOrigin(ensureNginx(), join(directory, 'slow-origin')));
  const slow = closing.adopt(await openSlowOrigin(), it => it.close());
  const load = closing.adopt(openLoadClient(), it => it.close());
  const origins = { http: http.port, sink: slow.ports, tcpDown: 0, tcpUp: 0 };
  const tables: string[] = [];
  for (const protocol of options.protocols) {
    const results: SlowResult[] = [];
    const parts = { options: { ...options, protocol }, directory: join(directory, 'slow', protocol), origins, load };
    for (const [index, slowCase] of slowCases(options.slowVisitors).entries()) {
      for (const program of pairPrograms(options)) {
        results.push(await measureCase(slowCase, program, { ...parts, directory: join(parts.directory, `${index}`) }));
      }
    }
    tables.push(formatSlow(protocol, options.slowSeconds, results));
  }
  return tables.join('\n\n');
}

async function measureCase(slowCase: SlowCase, program: PairProgram, parts: Parts): Promise<SlowResult> {
  const { load, options, origins } = parts;
  await using closing = new AsyncDisposableStack();
  const directory = join(parts.directory, program.name);
  const pair = closing.use(await openPair({ ...program, options, directory, origins }));
  const visitors = closing.adopt(fork(script), it => it.disconnect());
  const fast = (seconds: number) =>
    measure(
      load,
      { kind: 'small', seconds, target: { via: 'http1', port: pair.ports.http }, atOnce: 1, timeoutMs },
      pair,
      false,
    );
  await fast(warmUpSeconds);
  await delay(restMs);
  const restMb = megabytes(pair);
  const begun = heard(visitors, 'begun');
  visitors.send({ open: slowCase, port: slowCase.kind === 'streams-stalled' ? pair.ports.https : pair.ports.http });
  const arriving = await fast(options.slowSeconds / 2);
  const { count } = await begun;
  const standing = await fast(options.slowSeconds);
  const closed = heard(visitors, 'closed');
  visitors.send('close');
  const { bytes, lost } = await closed;
  const peakMb = standing.use.map(({ peakMb: high }, at) => Math.max(high, arriving.use[at]?.peakMb ?? 0));
  return {
    ...{ label: labelOf(slowCase), name: program.name, arriving, standing, restMb, peakMb },
    ...{ begun: count, lost, slowMbPerSecond: bytes / 1e6 / (options.slowSeconds * 1.5) },
  };
}

/** Of each process of the pair, edge first. */
function megabytes({ processes }: Contender): readonly number[] {
  return processes.map(({ pid }) => residentMb(pid));
}
