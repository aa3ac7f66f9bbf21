// The benchmark's command line.

import { parseArgs } from 'node:util';
import type { Protocol } from '../../internal/transport/transport.ts';

export const loadKinds = ['small', 'down', 'up'] as const;
/** `small` 23-byte answers, `down` and `up` bodies of `bulkBytes`. */
export type LoadKind = (typeof loadKinds)[number];

const subjects = [...loadKinds, 'private-tcp', 'udp', 'ping'] as const;

export interface BenchOptions {
  /** Measure the machine first, so that figures of another machine can be put beside. */
  readonly calibrate: boolean;
  readonly kinds: readonly LoadKind[];
  /** Measure UDP datagrams too; over QUIC, whatever the protocol of the rest. */
  readonly udp: boolean;
  /** Measure TCP flows into a private network. */
  readonly privateTcp: boolean;
  /** Measure echoes into a private network, over QUIC too. */
  readonly ping: boolean;
  /** Length of one measured load, in seconds. */
  readonly seconds: number;
  readonly rounds: number;
  /** Load on the connector before the first round of a kind, in seconds; not for UDP and ping, which have their own. */
  readonly warmUpSeconds: number;
  readonly protocol: Protocol;
  /** Count instructions with perf(1) too. */
  readonly instructions: boolean;
  /** Flags for the connector's node, such as --cpu-prof. */
  readonly nodeFlags: readonly string[];
}

export const usage = `npm run bench -- [--only small|down|up|private-tcp|udp|ping]... [--seconds 3] [--rounds 3] [--warm-up 3]
             [--protocol http2|quic] [--calibrate] [--instructions] [--node-flag=FLAG]...

Measures the connector alone (CPU seconds, memory, latency) beside nginx as a plain proxy in the same run.
--warm-up is load before what is measured: over its first tens of thousands of requests the connector is slower.
--calibrate first measures how this machine compares with the one on which a stock cloudflared was measured, and puts
what that would spend here, an estimate, beside; without --only it measures nothing else. With neither, all is measured.
--instructions counts with perf(1), which a busy machine disturbs less than CPU seconds.
--node-flag goes to the connector's node: --node-flag=--cpu-prof --node-flag=--cpu-prof-dir=/tmp/profile`;

/** Undefined when help is asked for. Throws RangeError or the TypeError of parseArgs. */
export function parseBenchOptions(argv: readonly string[]): BenchOptions | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      only: { type: 'string', multiple: true },
      seconds: { type: 'string', default: '3' },
      rounds: { type: 'string', default: '3' },
      'warm-up': { type: 'string', default: '3' },
      protocol: { type: 'string', default: 'http2' },
      calibrate: { type: 'boolean', default: false },
      instructions: { type: 'boolean', default: false },
      'node-flag': { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const asked = (values.only ?? (values.calibrate ? [] : subjects)).map(subject =>
    oneOf<string>('--only', subject, subjects),
  );
  return {
    calibrate: values.calibrate || values.only === undefined,
    kinds: loadKinds.filter(kind => asked.includes(kind)),
    udp: asked.includes('udp'),
    privateTcp: asked.includes('private-tcp'),
    ping: asked.includes('ping'),
    seconds: positive('--seconds', values.seconds),
    rounds: Math.ceil(positive('--rounds', values.rounds)),
    warmUpSeconds: positive('--warm-up', values['warm-up']),
    protocol: oneOf('--protocol', values.protocol, ['http2', 'quic']),
    instructions: values.instructions,
    nodeFlags: values['node-flag'],
  };
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
