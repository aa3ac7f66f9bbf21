// The table of the benchmark: medians with the range of the rounds, and the ratio to nginx.

import type { LoadKind } from './options.ts';

/** One measured load. */
export interface Sample {
  readonly requestsPerSecond: number;
  /** Of body, in MB (10^6 bytes). */
  readonly mbPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuPer10k: number;
  readonly cpuPerGb: number;
  /** Thousands of instructions, per request and per MB of body; NaN when not counted. */
  readonly kiloInstructionsPerRequest: number;
  readonly kiloInstructionsPerMb: number;
  readonly peakMb: number;
  readonly failures: number;
}

export interface Report {
  readonly title: string;
  readonly loads: ReadonlyMap<LoadKind, { readonly postern: readonly Sample[]; readonly nginx: readonly Sample[] }>;
  readonly startMs: readonly number[];
  readonly startCpu: number;
  readonly idleMb: number;
  readonly afterMb: number;
}

const labels: Readonly<Record<LoadKind, string>> = {
  small: 'small requests, 64 at once over 4 connections',
  down: 'bodies of 8 MiB down, 8 at once over 4 connections',
  up: 'bodies of 8 MiB up, 8 at once over 4 connections',
};

export function formatReport(report: Report): string {
  const lines = [report.title, ''];
  const row = (name: string, postern: string, nginx = '', ratio = ''): void => {
    lines.push(`  ${name.padEnd(22)}${postern.padEnd(26)}${nginx.padEnd(26)}${ratio}`.trimEnd());
  };
  for (const [kind, { postern, nginx }] of report.loads) {
    lines.push(labels[kind]);
    row('', 'postern', 'nginx', 'postern / nginx');
    const compare = (name: string, pick: (sample: Sample) => number, digits: number): void => {
      const ours = postern.map(pick);
      const theirs = nginx.map(pick);
      const ratio = median(ours) / median(theirs);
      row(name, range(ours, digits), range(theirs, digits), Number.isFinite(ratio) ? ratio.toFixed(2) : '');
    };
    const counted = postern.some(sample => !Number.isNaN(sample.kiloInstructionsPerRequest));
    if (kind === 'small') {
      compare('CPU-s per 10,000', sample => sample.cpuPer10k, 3);
      if (counted) compare('instr. per request, k', sample => sample.kiloInstructionsPerRequest, 1);
      compare('requests/s', sample => sample.requestsPerSecond, 0);
    } else {
      compare('CPU-s per GB', sample => sample.cpuPerGb, 3);
      if (counted) compare('instr. per MB, k', sample => sample.kiloInstructionsPerMb, 0);
      compare('MB/s', sample => sample.mbPerSecond, 0);
    }
    compare('p50 ms', sample => sample.p50Ms, 1);
    compare('p99 ms', sample => sample.p99Ms, 1);
    compare('RSS under load, MB', sample => sample.peakMb, 0);
    if ([...postern, ...nginx].some(sample => sample.failures > 0))
      compare('failed requests', sample => sample.failures, 0);
    lines.push('');
  }
  lines.push('connector');
  row('start, ms', `${range(report.startMs, 0)}`, 'to the first registration');
  row('start, CPU-s', report.startCpu.toFixed(2), 'with four connections registered');
  row('RSS idle, MB', report.idleMb.toFixed(0), 'before any request');
  row('RSS after, MB', report.afterMb.toFixed(0), 'a second after the last load');
  return lines.join('\n');
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? high) + high) / 2;
}

/** `median (lowest–highest)`. */
function range(values: readonly number[], digits: number): string {
  const text = (value: number): string => value.toFixed(digits);
  const all = values.length > 1 ? ` (${text(Math.min(...values))}–${text(Math.max(...values))})` : '';
  return text(median(values)) + all;
}
