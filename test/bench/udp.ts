// npm run bench -- --only udp: what echoed UDP datagrams cost the connector, a child process, over QUIC; edge and origin
// are other processes. Beside it the same datagrams through a stock connector, when one is given, and through nginx's stream
// module as a UDP proxy.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodeToken } from '../../internal/credentials/tunnel-token.ts';
import { createTunnelId } from '../../internal/schema/api/id.ts';
import { repository } from '../support/child-program.ts';
import { hearing } from './child-events.ts';
import { type ConnectorProgram, sourcesOf, startConnector } from './connector.ts';
import { range } from './figures.ts';
import { countInstructions } from './instructions.ts';
import { ensureNginx, openNginxUdpProxy } from './nginx.ts';
import type { BenchOptions } from './options.ts';
import { childrenOf, cpuSeconds, residentMb } from './process-usage.ts';
import { payloadBytes, type UdpCommand, type UdpEvent } from './udp-command.ts';

const directoryOfThis = dirname(fileURLToPath(import.meta.url));
const heard = hearing<UdpEvent>();
/** Enough for a core to be busy, little enough that no queue overflows. */
const atOnce = 128;
/** Datagrams of a round for each second asked for, and of the warm-up for each second of that. */
const datagramsPerSecond = 20_000;

/** Gives the report as text. */
export async function benchUdp(options: BenchOptions, directory: string): Promise<string> {
  if (!options.subjects.has('udp')) return '';
  const lines = [
    `UDP over QUIC, ${payloadBytes}-byte datagrams echoed by an origin on loopback, ${atOnce} under way; CPU of the connector`,
  ];
  for (const version of [2, 3] as const)
    for (const sessions of [1, 32]) lines.push(await benchOne(options, directory, { version, sessions }));
  return lines.join('\n\n');
}

interface Subject {
  readonly version: 2 | 3;
  readonly sessions: number;
}

/** A process that carries datagrams, and the edge process that sends them to it. */
interface Carrier {
  readonly name: string;
  readonly pid: number;
  readonly edge: ChildProcess;
  readonly proxyPort?: number;
  readonly rounds: Round[];
}

interface Round {
  readonly cpu: number;
  readonly rate: number;
  readonly lost: number;
  readonly instructions: number;
}

async function benchOne(options: BenchOptions, directory: string, subject: Subject): Promise<string> {
  const { version, sessions } = subject;
  await using closing = new AsyncDisposableStack();
  const origin = closing.adopt(fork(join(directoryOfThis, 'udp-origin.ts')), child => child.disconnect());
  const [originPort] = (await once(origin, 'message')) as [number];
  const home = join(directory, `udp-v${version}-${sessions}`);
  const programs: readonly (readonly [string, ConnectorProgram])[] = [
    ['ours', { postern: sourcesOf(repository) }],
    ...(options.peer === undefined ? [] : [['peer', { stock: options.peer }] as const]),
  ];
  const carriers: Carrier[] = [];
  for (const [name, program] of programs) {
    const place = { directory: join(home, name), originPort, version };
    carriers.push({ name, ...(await openTunnel(closing, options, program, place)), rounds: [] });
  }
  const [ours] = carriers;
  if (ours === undefined) return '';
  const nginx = closing.use(await openNginxUdpProxy(ensureNginx(), join(home, 'nginx'), originPort));
  carriers.push({ name: 'nginx', pid: nginx.pid, proxyPort: nginx.port, edge: ours.edge, rounds: [] });

  const run = async ({ pid, edge, proxyPort }: Carrier, count: number): Promise<Round> => {
    const counter = options.instructions ? await countInstructions([pid], childrenOf(pid)) : undefined;
    const before = cpuSeconds(pid);
    const target = proxyPort === undefined ? {} : { proxyPort };
    edge.send({ originPort, count, atOnce, sessions, ...target } satisfies UdpCommand);
    const { echoed, lost, elapsedMs } = (await heard(edge, 'result')).result;
    const cpu = ((cpuSeconds(pid) - before) * 100_000) / echoed;
    const instructions = ((await counter?.stop()) ?? Number.NaN) / echoed / 1_000;
    return { cpu, rate: (echoed / elapsedMs) * 1_000, lost, instructions };
  };
  for (const carrier of carriers) await run(carrier, Math.ceil(datagramsPerSecond * options.warmUpSeconds));
  for (let round = 0; round < options.rounds; round += 1) {
    for (const carrier of carriers)
      carrier.rounds.push(await run(carrier, Math.ceil(datagramsPerSecond * options.seconds)));
  }
  const title = `  v${version}, ${sessions} ${sessions === 1 ? 'session' : 'sessions'}`;
  return [title, ...carriers.map(carrier => show(carrier, ours, options))].join('\n');
}

/** Starts an edge process and a connector to it; both end with `closing`. */
async function openTunnel(
  closing: AsyncDisposableStack,
  options: BenchOptions,
  program: ConnectorProgram,
  {
    directory,
    originPort,
    version,
  }: { readonly directory: string; readonly originPort: number; readonly version: 2 | 3 },
): Promise<{ readonly pid: number; readonly edge: ChildProcess }> {
  const edge = closing.adopt(fork(join(directoryOfThis, 'udp-process.ts')), child => child.disconnect());
  const { port, caPem } = await heard(edge, 'listening');
  const registered = heard(edge, 'registered');
  await mkdir(directory, { recursive: true });
  const caFile = join(directory, 'ca.pem');
  await writeFile(caFile, caPem);
  const secret = Buffer.alloc(32, 'a secret of the benchmark');
  const feature = version === 2 ? 'support_datagram_v2' : 'support_datagram_v3_2';
  const connector = closing.adopt(
    await startConnector({
      ...{ program, protocol: 'quic', nodeFlags: options.nodeFlags, directory },
      token: encodeToken({ accountTag: 'bench', tunnelId: createTunnelId(), secret }),
      edge: { port, caFile },
      ...{ originPort, sinkPort: originPort, haConnections: 1 },
      runFlags: ['--features', feature, ...('postern' in program ? ['--allow-destination', '127.0.0.0/8'] : [])],
    }),
    it => it.close(),
  );
  await registered;
  return { pid: connector.pid, edge };
}

function show({ name, pid, rounds }: Carrier, ours: Carrier, options: BenchOptions): string {
  const figure = (pick: (round: Round) => number, digits: number): string => range(rounds.map(pick), digits);
  const lost = rounds.reduce((sum, one) => sum + one.lost, 0);
  const ratios = rounds.map((round, index) => (ours.rounds[index]?.cpu ?? Number.NaN) / round.cpu);
  return [
    `    ${name.padEnd(6)} ${figure(({ cpu }) => cpu, 2)} CPU-s per 100,000`,
    `${figure(({ rate }) => rate, 0)}/s`,
    `${lost} lost`,
    `RSS ${residentMb(pid).toFixed(0)} MB`,
    ...(options.instructions ? [`${figure(one => one.instructions, 1)} k instructions each`] : []),
    ...(name === ours.name ? [] : [`ours / it ${range(ratios, 2)}`]),
  ].join(', ');
}
