// npm run bench -- --only ping: what the tunnel adds to the round trip of an echo, and what echoes cost the connector. The
// edge and the real connector run in one network namespace, the private host is another on a wire; the direct way is
// Debian's ping on the same wire. Needs root, for the namespaces.

import { type ChildProcess, execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { repository } from '../support/child-program.ts';
import { haveCommand } from '../support/debian-package.ts';
import { hearing } from './child-events.ts';
import { sourcesOf, startConnector } from './connector.ts';
import { median, quantile, range } from './figures.ts';
import { forkIn, openNamespaces } from './namespaces.ts';
import type { BenchOptions } from './options.ts';
import type { PingCommand, PingEvent, PingResult } from './ping-command.ts';
import { exactCpuSeconds, residentMb } from './process-usage.ts';

const heard = hearing<PingEvent>();
const runFile = promisify(execFile);
const script = join(dirname(fileURLToPath(import.meta.url)), 'ping-process.ts');
/** The private host's; see test/support/namespaces.ts. */
const destination = '10.77.1.2';
/** A gentle rate: nothing waits for anything, and yet hundreds of echoes take some seconds. */
const intervalMs = 20;
/** Echoes under way when the cost is wanted without the price of waking up for each. */
const atOnce = 16;
const waitMs = 60_000;

interface Round {
  readonly direct: readonly number[];
  readonly tunnel: PingResult;
  /** CPU-s of the connector per 1,000 echoes; of the gentle ones without what it spends in the same time idle. */
  readonly gentleCpu: number;
  readonly busyCpu: number;
  readonly busyRate: number;
  /** CPU-s a minute. */
  readonly idleCpu: number;
}

/** Gives the report as text, or why there is none. */
export async function benchPing(options: BenchOptions, directory: string): Promise<string> {
  if (!options.subjects.has('ping')) return '';
  const namespaces = openNamespaces();
  if ('lacking' in namespaces) return `Ping: not measured, lacking ${namespaces.lacking}`;
  await using closing = new AsyncDisposableStack();
  const { connector: namespace } = closing.use(namespaces);
  if (!haveCommand('ping', ['iputils-ping'])) return 'Ping: not measured, lacking ping (package iputils-ping)';
  const home = join(directory, 'ping');
  await mkdir(home);
  const edge = closing.adopt(forkIn(namespace, script, [join(home, 'edge'), destination]), ended);
  const { token } = await heard(edge, 'ready');
  const reachable = heard(edge, 'reachable');
  const connector = closing.adopt(
    await startConnector({
      ...{ program: { postern: sourcesOf(repository) }, protocol: 'quic', nodeFlags: options.nodeFlags },
      ...{ directory: home, token, originPort: 1, sinkPort: 1, haConnections: 1 },
      prefix: ['ip', 'netns', 'exec', namespace],
    }),
    it => it.close(),
  );
  await reachable;
  const ask = async (command: PingCommand): Promise<PingResult> => {
    edge.send(command);
    return (await heard(edge, 'result')).result;
  };
  const { pid } = connector;
  const count = Math.ceil((options.seconds * 1_000) / intervalMs);
  await ask({ kind: 'busy', atOnce, seconds: 1 });
  const rounds: Round[] = [];
  for (let round = 0; round < options.rounds; round += 1) {
    const direct = await use(pid, () => pingDirectly(namespace, count));
    const tunnel = await use(pid, () => ask({ kind: 'gentle', count, intervalMs }));
    const busy = await use(pid, () => ask({ kind: 'busy', atOnce, seconds: options.seconds }));
    // While ping goes the direct way the connector is idle.
    const idleShare = direct.cpu / direct.seconds;
    const echoes = busy.result.rttsMs.length;
    rounds.push({
      ...{ direct: direct.result, tunnel: tunnel.result, idleCpu: idleShare * 60 },
      gentleCpu: ((tunnel.cpu - idleShare * tunnel.seconds) / count) * 1_000,
      ...{ busyCpu: (busy.cpu / echoes) * 1_000, busyRate: echoes / busy.seconds },
    });
  }
  return format(rounds, options, residentMb(pid));
}

function format(rounds: readonly Round[], options: BenchOptions, memoryMb: number): string {
  const direct = rounds.map(round => round.direct);
  const tunnel = rounds.map(round => round.tunnel.rttsMs);
  const row = (name: string, text: string): string => `  ${name.padEnd(36)}${text}`;
  const times = (name: string, of: (values: readonly number[]) => number): string => {
    const added = of(tunnel.flat()) - of(direct.flat());
    const [straight, through] = [direct, tunnel].map(all => range(all.map(of), 3));
    return row(name, `direct ${straight}, through the tunnel ${through}, added ${added.toFixed(3)}`);
  };
  const lost = rounds.reduce((sum, round) => sum + round.tunnel.lost, 0);
  const gentle = rounds.map(round => round.gentleCpu);
  const busy = rounds.map(round => round.busyCpu);
  return [
    `Ping over QUIC, ${options.rounds} rounds of ${tunnel[0]?.length ?? 0} echoes every ${intervalMs} ms, medians (range) of the rounds. Through the tunnel:`,
    'as the edge measures it for postern ping, edge → connector → ping socket → host and back. Direct: ping on the same',
    'wire, timed by the kernel, so that "added" holds every wake-up of both ends.',
    '',
    times('median ms', median),
    times('p99 ms', values => quantile(values, 0.99)),
    row('lost', String(lost)),
    row('connector, CPU-s per 1,000 echoes', `${range(gentle, 3)} one by one, without what it spends idle;`),
    row(
      '',
      `${range(busy, 3)} with ${atOnce} under way (${rounds.map(round => round.busyRate.toFixed(0)).join(', ')} a second)`,
    ),
    row(
      'connector idle, CPU-s a minute',
      range(
        rounds.map(round => round.idleCpu),
        2,
      ),
    ),
    row('RSS after, MB', memoryMb.toFixed(0)),
  ].join('\n');
}

/** What the process used meanwhile. */
async function use<Result>(
  pid: number,
  work: () => Promise<Result>,
): Promise<{ readonly result: Result; readonly cpu: number; readonly seconds: number }> {
  const [cpu, startedMs] = [exactCpuSeconds(pid), performance.now()];
  const result = await work();
  return { result, cpu: exactCpuSeconds(pid) - cpu, seconds: (performance.now() - startedMs) / 1_000 };
}

/** Milliseconds of each echo. */
async function pingDirectly(namespace: string, count: number): Promise<readonly number[]> {
  const args = ['-n', '-c', String(count), '-i', String(intervalMs / 1_000), destination];
  const { stdout } = await runFile('ip', ['netns', 'exec', namespace, 'ping', ...args], { timeout: waitMs });
  return [...stdout.matchAll(/time=([\d.]+) ms/g)].map(match => Number(match[1]));
}

function ended(child: ChildProcess): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  child.once('exit', () => resolve());
  child.disconnect();
  return promise;
}
