// HTTP and private TCP through every contender in turn, the same load each: what each of their processes spends, and what
// visitors see.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Contender, OriginPorts } from './contender.ts';
import { openFrp } from './frp.ts';
import { type LoadClient, openLoadClient, openTcpOrigin, openUploadSink } from './load-client.ts';
import { measure, type Sample } from './measure.ts';
import { ensureNginx, openNginxContender, openNginxOrigin } from './nginx.ts';
import { type BenchOptions, type LoadKind, loadsOf } from './options.ts';
import { openPair, pairPrograms } from './pair.ts';
import { cpuSeconds, residentMb } from './process-usage.ts';
import { formatLoad, formatStanding, type Standing } from './report.ts';

/** Idle time before memory is read: a second is enough for timers of the start and for late frees. */
const restMs = 1_000;

/** Gives the report as text. */
export async function benchCarried(options: BenchOptions, directory: string): Promise<string> {
  const kinds = loadsOf(options);
  if (kinds.length === 0) return '';
  await using closing = new AsyncDisposableStack();
  const origins = await openOrigins(closing, directory);
  const load = closing.adopt(openLoadClient(), it => it.close());
  const contenders = await openContenders(closing, options, directory, origins);

  await delay(restMs);
  const started = contenders.map(({ processes }) =>
    processes.map(({ pid }) => ({ cpu: cpuSeconds(pid), idleMb: residentMb(pid) })),
  );
  const startMs = await measureStarts(options, contenders);
  const tables: string[] = [];
  for (const kind of kinds) tables.push(await benchKind(kind, load, contenders, options));
  await delay(restMs);
  const standings = contenders.flatMap(({ name, processes }, index) =>
    processes.map(({ role, pid }, at): Standing => {
      const { cpu = 0, idleMb = 0 } = started[index]?.[at] ?? {};
      const isStarted = role === 'connector';
      return {
        ...{ name, role, idleMb, startCpu: cpu, afterMb: residentMb(pid) },
        startMs: isStarted ? (startMs[index] ?? []) : [],
      };
    }),
  );
  const title = `Over ${options.protocol}, visitors over ${options.visitors}, Node ${process.versions.node}: ${options.rounds} rounds of ${options.seconds} s after ${options.warmUpSeconds} s of warm-up, in turns; medians (range), ratios round by round`;
  return [title, ...tables, formatStanding(standings)].join('\n\n');
}

/** Starts what is published; it ends with `closing`. */
export async function openOrigins(closing: AsyncDisposableStack, directory: string): Promise<OriginPorts> {
  const http = closing.use(await openNginxOrigin(ensureNginx(), join(directory, 'origin')));
  const sink = closing.adopt(await openUploadSink(), it => it.close());
  const tcp = closing.adopt(await openTcpOrigin(), it => it.close());
  return { http: http.port, sink: sink.ports, tcpDown: tcp.ports.down, tcpUp: tcp.ports.up };
}

/** Ours first, then whoever is asked for; all end with `closing`. */
export async function openContenders(
  closing: AsyncDisposableStack,
  options: BenchOptions,
  directory: string,
  origins: OriginPorts,
): Promise<readonly Contender[]> {
  const { frp, visitors } = options;
  const at = (name: string): string => join(directory, name);
  const opened: Contender[] = [];
  const add = async (contender: Promise<Contender>): Promise<void> => {
    opened.push(closing.use(await contender));
  };
  await mkdir(directory, { recursive: true });
  for (const program of pairPrograms(options))
    await add(openPair({ ...program, options, origins, directory: at(program.name) }));
  if (frp !== undefined) await add(openFrp(frp, at('frp'), options, origins));
  await add(openNginxContender(ensureNginx(), at('nginx'), origins, visitors));
  return opened;
}

/** For each contender, how long connectors took to register. */
async function measureStarts(options: BenchOptions, contenders: readonly Contender[]): Promise<readonly number[][]> {
  const tookMs = contenders.map((): number[] => []);
  // A profile is wanted of the load, not of starts.
  const rounds = options.nodeFlags.length === 0 ? options.rounds : 0;
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, contender] of contenders.entries()) {
      const took = await contender.measureStart?.();
      if (took !== undefined) tookMs[index]?.push(took);
    }
  }
  return tookMs;
}

async function benchKind(
  kind: LoadKind,
  load: LoadClient,
  contenders: readonly Contender[],
  options: BenchOptions,
): Promise<string> {
  const able = contenders.flatMap(contender => {
    const target = contender.target(kind);
    return target === undefined ? [] : [{ contender, target, samples: [] as Sample[] }];
  });
  for (const { contender, target } of able)
    await measure(load, { kind, seconds: options.warmUpSeconds, target }, contender, false);
  for (let round = 0; round < options.rounds; round += 1) {
    for (const { contender, target, samples } of able)
      samples.push(await measure(load, { kind, seconds: options.seconds, target }, contender, options.instructions));
  }
  return formatLoad(
    kind,
    able.map(({ contender, samples }) => ({ name: contender.name, samples })),
  );
}
