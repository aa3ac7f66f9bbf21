// How much CPU time this machine needs for what the machine of the design's figures did in a known time: two small
// workloads of Node and the kernel, one of HTTP/2 and one of datagrams. Takes some five seconds.

import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism, loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { haveCommand } from '../support/debian-package.ts';
import { within } from '../support/wait.ts';
import { median, range } from './figures.ts';
import { forkIn, openNamespaces } from './namespaces.ts';
import type { Calibration } from './stock.ts';

const run = promisify(execFile);
const directory = dirname(fileURLToPath(import.meta.url));
/** Short and many: a neighbour's burst then spoils some of them, and the median is of the others. */
const rounds = 7;
const requestsPerRound = 8_000;
/** Compilers of the server have settled after some 40,000. */
const warmUpRequests = 48_000;
const waitMs = 30_000;
/** Figures of the other machine, with Node 26: CPU-s per 10,000 answers (two rounds), CPU µs per echo (three). */
const there = { answers: [0.107, 0.116], echoes: [7.3, 8] } as const;

/** Says in words what was measured; `factor` is undefined when nothing could be. */
export async function calibrate(): Promise<Calibration | { readonly factor: undefined; readonly text: string }> {
  const parts = [
    compare('HTTP/2 answers, CPU-s per 10,000', await measureAnswers(), there.answers, 3),
    compare('ping-socket echoes, CPU µs each', await measureEchoes(), there.echoes, 1),
  ];
  const factors = parts.flatMap(({ factor }) => (factor === undefined ? [] : [factor]));
  const load = `load average ${(loadavg()[0] ?? 0).toFixed(1)} on ${availableParallelism()} cores`;
  const lines = [`calibration, ${load} (others at work make figures scatter)`, ...parts.map(({ text }) => text)];
  if (factors.length === 0) return { factor: undefined, text: lines.join('\n') };
  const factor = factors.reduce((product, value) => product * value, 1) ** (1 / factors.length);
  lines.push(
    `  this machine costs ${factor.toFixed(1)} × the machine of the design's figures${factors.length > 1 ? ' (geometric mean)' : ''}`,
    `  "stock, estimated": what a stock cloudflared spent there, times ${factor.toFixed(2)}. An estimate: it was not run here,`,
    '  and its mix of work is another one than the calibration’s.',
  );
  return { factor, text: lines.join('\n') };
}

function compare(
  name: string,
  measured: readonly number[] | { readonly lacking: string },
  known: readonly [number, number],
  digits: number,
): { readonly factor: number | undefined; readonly text: string } {
  if ('lacking' in measured) return { factor: undefined, text: `  ${name}: not measured, lacking ${measured.lacking}` };
  const factor = median(measured) / median(known);
  const knownText = known.map(value => value.toFixed(digits)).join('–');
  const text = `  ${name}: ${range(measured, digits)}; there ${knownText}: ${factor.toFixed(2)} ×`;
  return { factor, text };
}

/** One connection, 64 at once, plain TCP. */
async function measureAnswers(): Promise<readonly number[] | { readonly lacking: string }> {
  if (!haveCommand('h2load', ['nghttp2-client']))
    return { lacking: 'h2load (package nghttp2-client), and it cannot be installed here' };
  const server = fork(join(directory, 'calibrate-http2.ts'));
  try {
    const port = await heard<number>(server);
    const load = async (requests: number): Promise<void> => {
      const args = ['-c1', '-m64', '-t1', '-n', String(requests), `http://127.0.0.1:${port}/`];
      const { stdout } = await run('h2load', args, { timeout: waitMs });
      if (!stdout.includes(`${requests} succeeded`)) throw new Error(`h2load did not succeed:\n${stdout}`);
    };
    const used = (): Promise<number> => {
      const answer = heard<number>(server);
      server.send('cpu');
      return answer;
    };
    await load(warmUpRequests);
    const figures: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const before = await used();
      await load(requestsPerRound);
      figures.push((((await used()) - before) / 1e6 / requestsPerRound) * 1e4);
    }
    return figures;
  } finally {
    server.disconnect();
  }
}

async function measureEchoes(): Promise<readonly number[] | { readonly lacking: string }> {
  const namespaces = openNamespaces();
  if ('lacking' in namespaces) return namespaces;
  using made = namespaces;
  const child = forkIn(made.connector, join(directory, 'calibrate-ping.ts'));
  try {
    return await heard<readonly number[]>(child);
  } finally {
    child.kill();
  }
}

/** The next message of a child; rejects when it ends or stays silent instead. */
async function heard<Message>(child: ChildProcess): Promise<Message> {
  const ended = new AbortController();
  const { signal } = ended;
  const exit = once(child, 'exit', { signal }).then(() => {
    throw new Error('A process of the calibration ended early.');
  });
  exit.catch(() => undefined);
  try {
    const message = once(child, 'message', { signal });
    message.catch(() => undefined);
    const [value] = (await within('the calibration', Promise.race([message, exit]), waitMs)) as [Message];
    return value;
  } finally {
    ended.abort();
  }
}
