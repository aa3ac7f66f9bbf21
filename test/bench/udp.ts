// npm run bench -- --only udp: what echoed UDP datagrams cost the connector, a child process, over QUIC; edge and origin
// are other processes. A stock cloudflared spends 1.28 CPU-s per 100,000 with datagrams v2.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startConnector } from './connector.ts';
import { countInstructions } from './instructions.ts';
import type { BenchOptions } from './options.ts';
import { childrenOf, cpuSeconds, residentMb } from './process-usage.ts';
import { payloadBytes, type UdpCommand, type UdpEvent, type UdpResult } from './udp-command.ts';

const directoryOfThis = dirname(fileURLToPath(import.meta.url));
const waitMs = 60_000;
/** Enough for a core to be busy, little enough that no queue overflows. */
const atOnce = 128;
/** Datagrams of a round for each second asked for; compilers settle in a quarter of that first. */
const datagramsPerSecond = 20_000;

/** Gives the report as text. */
export async function benchUdp(options: BenchOptions, directory: string): Promise<string> {
  const lines = [
    `UDP over QUIC, ${payloadBytes}-byte datagrams echoed by an origin on loopback, ${atOnce} under way`,
    '',
  ];
  for (const version of [2, 3] as const)
    for (const sessions of [1, 32]) lines.push(await benchOne(options, directory, version, sessions));
  return lines.join('\n');
}

async function benchOne(options: BenchOptions, directory: string, version: 2 | 3, sessions: number): Promise<string> {
  await using closing = new AsyncDisposableStack();
  const origin = closing.adopt(fork(join(directoryOfThis, 'udp-origin.ts')), child => child.disconnect());
  const [originPort] = (await once(origin, 'message')) as [number];
  const edge = closing.adopt(fork(join(directoryOfThis, 'udp-process.ts')), child => child.disconnect());
  const { port, caPin } = await heard(edge, 'listening');
  const registered = heard(edge, 'registered');
  const home = join(directory, `udp-v${version}-${sessions}`);
  await mkdir(home);
  const feature = version === 2 ? 'support_datagram_v2' : 'support_datagram_v3_2';
  const connector = closing.adopt(
    await startConnector({
      options: { ...options, protocol: 'quic' },
      ...{ directory: home, edge: { port, caPin }, originPort, sinkPort: originPort, haConnections: 1 },
      runFlags: ['--features', feature, '--allow-destination', '127.0.0.0/8'],
    }),
    it => it.close(),
  );
  await registered;
  const run = async (count: number): Promise<UdpResult> => {
    const command: UdpCommand = { originPort, count, atOnce, sessions };
    edge.send(command);
    return (await heard(edge, 'result')).result;
  };
  const count = Math.ceil(datagramsPerSecond * options.seconds);
  await run(count / 4);
  const rounds: { cpu: number; rate: number; lost: number; instructions: number }[] = [];
  for (let round = 0; round < options.rounds; round += 1) {
    const { pid } = connector;
    const counter = options.instructions ? await countInstructions(pid, childrenOf(pid)) : undefined;
    const before = cpuSeconds(pid);
    const { echoed, lost, elapsedMs } = await run(count);
    const cpu = ((cpuSeconds(pid) - before) * 100_000) / echoed;
    const instructions = ((await counter?.stop()) ?? Number.NaN) / echoed / 1_000;
    rounds.push({ cpu, rate: (echoed / elapsedMs) * 1_000, lost, instructions });
  }
  const figures = (pick: (round: (typeof rounds)[number]) => number, digits: number): string => {
    const sorted = rounds.map(pick).sort((a, b) => a - b);
    const text = (value: number | undefined): string => (value ?? Number.NaN).toFixed(digits);
    return `${text(sorted[sorted.length >> 1])} (${text(sorted[0])}–${text(sorted.at(-1))})`;
  };
  const instructions = options.instructions ? `, ${figures(one => one.instructions, 1)} k instructions each` : '';
  return (
    `  v${version}, ${String(sessions).padStart(2)} sessions: ${figures(one => one.cpu, 2)} CPU-s per 100,000, ` +
    `${figures(one => one.rate, 0)}/s, ${rounds.reduce((sum, one) => sum + one.lost, 0)} lost, ` +
    `RSS ${residentMb(connector.pid).toFixed(0)} MB${instructions}`
  );
}

async function heard<Kind extends UdpEvent['event']>(
  child: ChildProcess,
  kind: Kind,
): Promise<Extract<UdpEvent, { event: Kind }>> {
  const { promise, resolve, reject } = Promise.withResolvers<Extract<UdpEvent, { event: Kind }>>();
  const onMessage = (message: unknown): void => {
    const event = message as UdpEvent;
    if (event.event === kind) resolve(event as Extract<UdpEvent, { event: Kind }>);
  };
  const fail = (): void => reject(new Error(`The edge of the benchmark did not tell '${kind}'.`));
  const timer = setTimeout(fail, waitMs);
  child.on('message', onMessage).once('exit', fail);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    child.off('message', onMessage).off('exit', fail);
  }
}
