// `ping TARGET`: echo requests through a tunnel into a private network, printed as the usual tool prints them. Exit
// codes: 0 when an answer came, 1 when none did.

import { defineCommand } from './command.ts';
import type { CommandContext } from './context.ts';
import {
  between,
  type EchoAnswer,
  type EchoSeries,
  echoTarget,
  formatRtt,
  maxWaitSeconds,
  openEchoScreen,
  openEchoSeries,
  sizeFlag,
} from './echo-series.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from './output.ts';
import { networkFlag } from './tunnel/find-network.ts';

interface Settings {
  /** 0 = until interrupted. */
  readonly count: number;
  readonly intervalMs: number;
  readonly ttl: number;
  readonly size: number;
  readonly timeoutMs: number;
}

/** Sums, not answers: a ping may run for weeks. */
interface Tally {
  readonly startedMs: number;
  transmitted: number;
  received: number;
  errors: number;
  /** Of the round trips, in milliseconds. */
  least: number;
  most: number;
  sum: number;
  squares: number;
}

export const command = defineCommand({
  description:
    'Sends ICMP echo requests through the tunnel whose private route leads to the target. The times are those that the ' +
    'edge measured between request and reply.',
  positionals: [echoTarget],
  flags: [
    networkFlag,
    {
      name: 'count',
      aliases: ['c'],
      type: 'integer',
      default: 0,
      valueName: 'N',
      check: between(0, 1_000_000),
      description: 'Stop after so many requests; 0 goes on until interrupted',
    },
    {
      name: 'interval',
      aliases: ['i'],
      type: 'number',
      default: 1,
      valueName: 'SECONDS',
      description: 'Time between requests, at least 0.1',
      check: between(0.1, 3_600),
    },
    sizeFlag,
    {
      name: 'timeout',
      aliases: ['W'],
      type: 'number',
      default: 1,
      valueName: 'SECONDS',
      description: 'How long to wait for each reply',
      check: between(0.01, maxWaitSeconds),
    },
    {
      name: 'ttl',
      aliases: ['t'],
      type: 'integer',
      default: 64,
      valueName: 'N',
      check: between(1, 255),
      description: 'Time to live of the requests; 1 is answered by the connector itself',
    },
    outputFlag,
  ],
  examples: [
    ['postern ping 10.1.0.2', 'Until interrupted'],
    ['postern ping -c 3 --vnet office 10.1.0.2', 'Three times, in another virtual network'],
    ['postern ping db.internal', 'A host by its name'],
  ],
  run: async (invocation, context) => {
    const { flags } = invocation;
    const format = parseOutputFormat(flags.output);
    const series = await openEchoSeries(invocation, flags.vnet, context);
    const settings: Settings = {
      count: flags.count,
      intervalMs: flags.interval * 1000,
      ttl: flags.ttl,
      size: flags.size,
      timeoutMs: Math.round(flags.timeout * 1000),
    };
    const screen = openEchoScreen(
      series,
      context,
      format === undefined,
      target => `PING ${target}: ${settings.size} data bytes`,
    );
    const answers: EchoAnswer[] = [];
    const tally = await runSeries(series, settings, context, answer => {
      screen.announce();
      screen.print(answerLine(answer, settings));
      if (format !== undefined) answers.push(answer);
    });
    screen.announce();
    const summary = summarize(series, tally);
    if (format === undefined) printSummary(summary, screen.print);
    else writeFormatted(context, format, { ...summary, answers });
    return summary.received > 0 ? 0 : 1;
  },
});

/** Sends at every interval, whether replies come or not; settles when the last one is settled. */
async function runSeries(
  series: EchoSeries,
  settings: Settings,
  context: CommandContext,
  heard: (answer: EchoAnswer) => void,
): Promise<Tally> {
  const tally: Tally = {
    ...{ startedMs: performance.now(), transmitted: 0, received: 0, errors: 0 },
    ...{ least: Number.POSITIVE_INFINITY, most: 0, sum: 0, squares: 0 },
  };
  const finished = Promise.withResolvers<void>();
  let waiting = 0;
  let stopped = false;
  // Answers are told in the order of their requests: one that comes early waits for those before it.
  const early = new Map<number, EchoAnswer>();
  let told = 0;
  const tell = (answer: EchoAnswer): void => {
    early.set(answer.sequence, answer);
    for (let next = early.get(told + 1); next !== undefined; next = early.get(told + 1)) {
      early.delete(next.sequence);
      told = next.sequence;
      heard(next);
    }
  };
  const stop = (): void => {
    stopped = true;
    clearInterval(timer);
    if (waiting === 0) finished.resolve();
  };
  const send = (): void => {
    tally.transmitted += 1;
    waiting += 1;
    series
      .probe(settings)
      .then(answer => {
        waiting -= 1;
        count(tally, answer);
        tell(answer);
        if (stopped && waiting === 0) finished.resolve();
      })
      .catch((error: unknown) => {
        stop();
        finished.reject(error);
      });
    if (tally.transmitted === settings.count) stop();
  };
  const timer = setInterval(send, settings.intervalMs);
  // The statistics are wanted at once: replies still to come are not waited for.
  const unsubscribe = context.onSignal('SIGINT', () => {
    stop();
    finished.resolve();
  });
  send();
  try {
    await finished.promise;
    return tally;
  } finally {
    unsubscribe();
  }
}

function count(tally: Tally, answer: EchoAnswer): void {
  if (answer.kind === 'time-exceeded' || answer.kind === 'no-route' || answer.kind === 'no-edge') tally.errors += 1;
  if (answer.kind !== 'reply') return;
  const rttMs = answer.rtt_ms;
  tally.received += 1;
  tally.least = Math.min(tally.least, rttMs);
  tally.most = Math.max(tally.most, rttMs);
  tally.sum += rttMs;
  tally.squares += rttMs ** 2;
}

function answerLine(answer: EchoAnswer, { size }: Settings): string {
  const of = `icmp_seq=${answer.sequence}`;
  switch (answer.kind) {
    case 'reply':
      return `${answer.bytes} bytes from ${answer.from}: ${of} ttl=${answer.ttl} time=${formatRtt(answer.rtt_ms)} ms`;
    case 'time-exceeded':
      return `From ${answer.from} ${of} Time to live exceeded`;
    case 'timeout':
      return `no answer for ${of}`;
    case 'unsent':
      return `not sent: ${of}, ${size} bytes of data are too many for the path, or the tunnel is busy`;
    case 'no-route':
    case 'no-edge':
      return `${answer.reason}: ${of}`;
    case 'unreachable':
      return `no connector carries packets (QUIC) to this address now: ${of}`;
  }
}

function summarize({ target, address }: EchoSeries, tally: Tally) {
  const { errors, least, most, received, squares, startedMs, sum, transmitted } = tally;
  const mean = sum / received;
  // Rounding may leave a little less than nothing.
  const variance = Math.max(0, squares / received - mean ** 2);
  return {
    target,
    address: address ?? null,
    transmitted,
    received,
    errors,
    loss: transmitted === 0 ? 0 : (transmitted - received) / transmitted,
    duration_ms: Math.round(performance.now() - startedMs),
    rtt_ms: received === 0 ? null : { min: least, avg: mean, max: most, mdev: Math.sqrt(variance) },
  };
}

function printSummary(summary: ReturnType<typeof summarize>, print: (line: string) => void): void {
  const { target, transmitted, received, errors, loss, duration_ms: durationMs, rtt_ms: rtt } = summary;
  const percent = `${Number((loss * 100).toFixed(4))}% packet loss`;
  print(`\n--- ${target} ping statistics ---`);
  print(
    `${transmitted} packets transmitted, ${received} received, ${errors > 0 ? `+${errors} errors, ` : ''}${percent}, time ${durationMs}ms`,
  );
  if (rtt === null) return;
  const { min, avg, max, mdev } = rtt;
  print(`rtt min/avg/max/mdev = ${[min, avg, max, mdev].map(value => value.toFixed(3)).join('/')} ms`);
}
