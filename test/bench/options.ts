// The benchmark's command line.

import { parseArgs } from 'node:util';

export const loadKinds = ['small', 'down', 'up', 'tcp-down', 'tcp-up'] as const;
/**
 * What is carried: `small` HTTP answers of 23 bytes, `down` and `up` HTTP bodies of `bulkBytes`, `tcp-down` and `tcp-up` as
 * many bytes by a TCP flow into a private network.
 */
export type LoadKind = (typeof loadKinds)[number];

const protocols = ['http2', 'quic'] as const;
export type Protocol = (typeof protocols)[number];

/** What `--only` takes. */
const subjects = ['small', 'down', 'up', 'private-tcp', 'udp', 'ping', 'slow', 'start'] as const;
export type Subject = (typeof subjects)[number];

export interface BenchOptions {
  readonly subjects: ReadonlySet<Subject>;
  /** Length of one measured load, in seconds. */
  readonly seconds: number;
  readonly rounds: number;
  /** Load on each contender before the first round of a kind, in seconds; ping has its own. */
  readonly warmUpSeconds: number;
  /** Between edge and connector. */
  readonly protocol: Protocol;
  /** The same where both are measured unless one is named. */
  readonly protocols: readonly Protocol[];
  /** Numbers of slow visitors to measure beside. */
  readonly slowVisitors: readonly number[];
  /** How long the fast visitor is watched beside them, in seconds. */
  readonly slowSeconds: number;
  /** What visitors of HTTP speak. */
  readonly visitors: 'http1' | 'http2';
  /** A stock cloudflared, to be a connector on our edge in turn with ours. */
  readonly peer: string | undefined;
  /** A directory with frps and frpc. */
  readonly frp: string | undefined;
  /** Another checkout of this repository. */
  readonly before: string | undefined;
  /** Count instructions with perf(1) too. */
  readonly instructions: boolean;
  /** Flags for the node of our edge and our connector, such as --cpu-prof. */
  readonly nodeFlags: readonly string[];
}

export const usage = `npm run bench -- [--only small|down|up|private-tcp|udp|ping|slow|start]... [--seconds 3] [--rounds 3] [--warm-up 3]
             [--protocol http2|quic] [--visitors http1|http2] [--peer PATH] [--frp DIR] [--before DIR]
             [--slow-visitors N]...
             [--instructions] [--node-flag=FLAG]...

Measures our edge and our connector, a process each, under the load of visitors: CPU seconds, memory, latency. Others are
measured in turn with them, under the same load: nginx as one plain proxy always,
--peer PATH   a stock cloudflared as the connector of another edge of ours,
--frp DIR     frps and frpc, over TCP with TLS for --protocol http2, over QUIC for quic,
--before DIR  edge and connector of another checkout: what a change brought.
--visitors http2 brings visitors over HTTP/2 and TLS, to our edge alone.
--only slow   a fast visitor beside slow ones: by default 70 and 500 (--slow-visitors), 8 s a case and 4 s while they come
              (--seconds), over both transports (--protocol); nginx and frp are not asked.
--warm-up is load before what is measured: over their first tens of thousands of requests our programs are slower.
--instructions counts with perf(1), which a busy machine disturbs less than CPU seconds.
--node-flag goes to the node of both of ours: --node-flag=--cpu-prof --node-flag=--cpu-prof-dir=/tmp/profile`;

/** Undefined when help is asked for. Throws RangeError or the TypeError of parseArgs. */
export function parseBenchOptions(argv: readonly string[]): BenchOptions | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      only: { type: 'string', multiple: true, default: [...subjects] },
      seconds: { type: 'string' },
      rounds: { type: 'string', default: '3' },
      'warm-up': { type: 'string', default: '3' },
      protocol: { type: 'string' },
      'slow-visitors': { type: 'string', multiple: true, default: ['70', '500'] },
      visitors: { type: 'string', default: 'http1' },
      peer: { type: 'string' },
      frp: { type: 'string' },
      before: { type: 'string' },
      instructions: { type: 'boolean', default: false },
      'node-flag': { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const named = values.protocol === undefined ? undefined : oneOf('--protocol', values.protocol, protocols);
  return {
    subjects: new Set(values.only.map(subject => oneOf('--only', subject, subjects))),
    seconds: positive('--seconds', values.seconds ?? '3'),
    slowSeconds: positive('--seconds', values.seconds ?? '8'),
    slowVisitors: values['slow-visitors'].map(count => Math.ceil(positive('--slow-visitors', count))),
    rounds: Math.ceil(positive('--rounds', values.rounds)),
    warmUpSeconds: positive('--warm-up', values['warm-up']),
    protocol: named ?? 'http2',
    protocols: named === undefined ? protocols : [named],
    visitors: oneOf('--visitors', values.visitors, ['http1', 'http2']),
    peer: values.peer,
    frp: values.frp,
    before: values.before,
    instructions: values.instructions,
    nodeFlags: values['node-flag'],
  };
}

/** The kinds of load that are asked for. */
export function loadsOf({ subjects: asked }: BenchOptions): readonly LoadKind[] {
  return loadKinds.filter(kind => asked.has(kind === 'tcp-down' || kind === 'tcp-up' ? 'private-tcp' : kind));
}

function oneOf<Known extends string>(flag: string, value: string, known: readonly Known[]): Known {
  const found = known.find(word => word === value);
  if (found === undefined) throw new RangeError(`${flag} must be one of ${known.join(', ')}, not ${value}`);
  return found;
}

function positive(flag: string, value: string): number {
  const number = Number(value);
  if (!(number > 0)) throw new RangeError(`${flag} must be a number above 0, not ${value}`);
  return number;
}
