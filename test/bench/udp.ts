// npm run bench -- --only udp: what echoed UDP datagrams cost the connector, a child process, over QUIC; edge and origin
// are other processes. Beside it the same datagrams through nginx's stream module as a UDP proxy.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hearing } from './child-events.ts';
import { startConnector } from './connector.ts';
import { median } from './figures.ts';
import { countInstructions } from './instructions.ts';
import { ensureNginx, openNginxUdpProxy } from './nginx.ts';
import type { BenchOptions } from './options.ts';
import { childrenOf, cpuSeconds, residentMb } from './process-usage.ts';
import { formatStock } from './report.ts';
import { type Calibration, type StockFigure, stockDatagrams } from './stock.ts';
import { payloadBytes, type UdpCommand, type UdpEvent } from './udp-command.ts';

const directoryOfThis = dirname(fileURLToPath(import.meta.url));
const heard = hearing<UdpEvent>();
/** Enough for a core to be busy, little enough that no queue overflows. */
const atOnce = 128;
/** Datagrams of a round for each second asked for, and of the warm-up for each second of that. */
const datagramsPerSecond = 20_000;

/** Gives the report as text. */
export async function benchUdp(
  options: BenchOptions,
  directory: string,
  calibration: Calibration | undefined,
): Promise<string> {
  const lines = [
    `UDP over QUIC, ${payloadBytes}-byte datagrams echoed by an origin on loopback, ${atOnce} under way`,
    '',
  ];
  for (const version of [2, 3] as const)
    for (const sessions of [1, 32])
      lines.push(await benchOne(options, directory, { version, sessions, stock: stockDatagrams(calibration) }));
  return lines.join('\n');
}

interface Subject {
  readonly version: 2 | 3;
  readonly sessions: number;
  /** Known for version 2 and one session; others are put beside it all the same. */
  readonly stock: StockFigure | undefined;
}

interface Round {
  readonly cpu: number;
  readonly rate: number;
  readonly lost: number;
  readonly instructions: number;
}

async function benchOne(
  options: BenchOptions,
  directory: string,
  { version, sessions, stock }: Subject,
): Promise<string> {
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
  const nginx = closing.use(await openNginxUdpProxy(ensureNginx(), join(home, 'nginx'), originPort));
  const count = Math.ceil(datagramsPerSecond * options.seconds);
  const run = async (pid: number, datagrams: number, proxyPort?: number): Promise<Round> => {
    const counter = options.instructions ? await countInstructions(pid, childrenOf(pid)) : undefined;
    const before = cpuSeconds(pid);
    const target = proxyPort === undefined ? {} : { proxyPort };
    edge.send({ originPort, count: datagrams, atOnce, sessions, ...target } satisfies UdpCommand);
    const { echoed, lost, elapsedMs } = (await heard(edge, 'result')).result;
    const cpu = ((cpuSeconds(pid) - before) * 100_000) / echoed;
    const instructions = ((await counter?.stop()) ?? Number.NaN) / echoed / 1_000;
    return { cpu, rate: (echoed / elapsedMs) * 1_000, lost, instructions };
  };
  await run(connector.pid, Math.ceil(datagramsPerSecond * options.warmUpSeconds));
  await run(nginx.pid, count / 4, nginx.port);
  const ours: Round[] = [];
  const beside: Round[] = [];
  for (let round = 0; round < options.rounds; round += 1) {
    ours.push(await run(connector.pid, count));
    beside.push(await run(nginx.pid, count, nginx.port));
  }
  const cpuOf = (rounds: readonly Round[]): number => median(rounds.map(({ cpu }) => cpu));
  const stockText = stock === undefined ? '' : `; stock, estimated, v2: ${formatStock(stock, cpuOf(ours))}`;
  return (
    `  v${version}, ${String(sessions).padStart(2)} sessions: ${show(ours)}, RSS ${residentMb(connector.pid).toFixed(0)} MB` +
    `${showInstructions(options, ours)}; nginx: ${show(beside)}${showInstructions(options, beside)}; ` +
    `ratio ${(cpuOf(ours) / cpuOf(beside)).toFixed(2)}${stockText}`
  );
}

function show(rounds: readonly Round[]): string {
  const lost = rounds.reduce((sum, one) => sum + one.lost, 0);
  return `${figures(rounds, ({ cpu }) => cpu, 2)} CPU-s per 100,000, ${figures(rounds, ({ rate }) => rate, 0)}/s, ${lost} lost`;
}

function showInstructions(options: BenchOptions, rounds: readonly Round[]): string {
  return options.instructions ? `, ${figures(rounds, one => one.instructions, 1)} k instructions each` : '';
}

function figures(rounds: readonly Round[], pick: (round: Round) => number, digits: number): string {
  const values = rounds.map(pick);
  const text = (value: number): string => value.toFixed(digits);
  return `${text(median(values))} (${text(Math.min(...values))}–${text(Math.max(...values))})`;
}
