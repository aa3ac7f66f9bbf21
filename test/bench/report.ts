// The tables of the benchmark: medians with the range of the rounds, and the ratio of ours to each of the others, round by
// round, with its range.

import type { Role } from './contender.ts';
import { range } from './figures.ts';
import type { Sample, Use } from './measure.ts';
import type { LoadKind } from './options.ts';
import { atOnce } from './requests.ts';

/** Rounds of one load through one contender. */
export interface Measured {
  readonly name: string;
  readonly samples: readonly Sample[];
}

/** What a process holds when nothing happens, and what its start took. */
export interface Standing {
  readonly name: string;
  readonly role: Role;
  readonly idleMb: number;
  readonly afterMb: number;
  /** CPU seconds until everything was ready. */
  readonly startCpu: number;
  /** Milliseconds to the first registration; none where that says nothing. */
  readonly startMs: readonly number[];
}

interface Figure {
  readonly name: string;
  readonly digits: number;
  /** NaN where there is none. */
  readonly of: (sample: Sample) => number;
}

const labels: Readonly<Record<LoadKind, string>> = {
  small: `small requests, ${atOnce.small} at once`,
  down: `HTTP bodies of 8 MiB down, ${atOnce.down} at once`,
  up: `HTTP bodies of 8 MiB up, ${atOnce.up} at once`,
  'tcp-down': `private TCP flows of 8 MiB down, ${atOnce['tcp-down']} at once`,
  'tcp-up': `private TCP flows of 8 MiB up, ${atOnce['tcp-up']} at once`,
};

/** The table of one load; the first is ours. */
export function formatLoad(kind: LoadKind, measured: readonly Measured[]): string {
  const [ours, ...others] = measured;
  if (ours === undefined) return '';
  const lines = [labels[kind], row('', ours.name, ...others.flatMap(({ name }) => [name, `${ours.name} / it`]))];
  for (const figure of figuresOf(kind === 'small')) {
    const values = measured.map(({ samples }) => samples.map(figure.of));
    const [own = [], ...rest] = values;
    if (!values.flat().some(value => value > 0)) continue;
    const cells = rest.flatMap(its => [
      text(its, figure.digits),
      text(
        own.map((value, round) => value / (its[round] ?? Number.NaN)),
        2,
      ),
    ]);
    lines.push(row(figure.name, text(own, figure.digits), ...cells));
  }
  return lines.join('\n');
}

/** The table of all processes at rest. */
export function formatStanding(standings: readonly Standing[]): string {
  const lines = ['at rest', row('', 'RSS idle, MB', 'RSS after, MB', 'start, CPU-s', 'start, ms to registration')];
  for (const { name, role, idleMb, afterMb, startCpu, startMs } of standings) {
    const start = startMs.length > 0 ? range(startMs, 0) : '';
    lines.push(row(`${name} ${role}`, idleMb.toFixed(0), afterMb.toFixed(0), startCpu.toFixed(2), start));
  }
  return lines.join('\n');
}

/** `small` ones are told by the request, others by the byte. */
function figuresOf(small: boolean): readonly Figure[] {
  const unit = small ? 'per 10,000' : 'per GB';
  const per = (sample: Sample): number => (small ? sample.requests / 1e4 : sample.bytes / 1e9);
  const used = (sample: Sample, pick: (use: Use) => number, role?: Role): number => {
    const counted = sample.use.filter(use => role === undefined || use.role === role);
    return counted.length === 0 ? Number.NaN : counted.reduce((sum, use) => sum + pick(use), 0);
  };
  const cpu = (role?: Role) => (sample: Sample) => used(sample, use => use.cpuSeconds, role) / per(sample);
  const memory = (role?: Role) => (sample: Sample) => used(sample, use => use.peakMb, role);
  return [
    { name: `edge, CPU-s ${unit}`, digits: 3, of: cpu('edge') },
    { name: `connector, CPU-s ${unit}`, digits: 3, of: cpu('connector') },
    { name: `all, CPU-s ${unit}`, digits: 3, of: cpu() },
    small
      ? { name: 'all, k instr. a request', digits: 1, of: it => it.instructions / it.requests / 1e3 }
      : { name: 'all, k instr. a MB', digits: 0, of: it => (it.instructions / it.bytes) * 1e3 },
    small
      ? { name: 'requests/s', digits: 0, of: it => (it.requests / it.elapsedMs) * 1e3 }
      : { name: 'MB/s', digits: 0, of: it => it.bytes / it.elapsedMs / 1e3 },
    { name: 'p50 ms', digits: 1, of: it => it.p50Ms },
    { name: 'p99 ms', digits: 1, of: it => it.p99Ms },
    { name: 'edge, RSS MB', digits: 0, of: memory('edge') },
    { name: 'connector, RSS MB', digits: 0, of: memory('connector') },
    { name: 'all, RSS MB', digits: 0, of: memory() },
    { name: 'failed requests', digits: 0, of: it => it.failures },
  ];
}

function text(values: readonly number[], digits: number): string {
  return values.some(Number.isFinite) ? range(values, digits) : '';
}

/** The cells of the others come in pairs, a figure and its narrower ratio. */
function row(name: string, ours: string, ...others: readonly string[]): string {
  const cells = others.map((cell, index) => cell.padEnd(index % 2 === 0 ? 22 : 18));
  return `  ${name.padEnd(29)}${[ours.padEnd(22), ...cells].join(' ')}`.trimEnd();
}
