// The table of the benchmark: medians with the range of the rounds, and the ratio to nginx.

import { median, range } from './figures.ts';
import type { LoadKind } from './options.ts';
import type { StockFigure } from './stock.ts';

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

/** Rounds of the same load through both. */
export interface Compared {
  readonly postern: readonly Sample[];
  readonly nginx: readonly Sample[];
}

export interface Report {
  readonly title: string;
  readonly loads: ReadonlyMap<LoadKind, Compared>;
  readonly stock: (kind: LoadKind) => StockFigure | undefined;
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
  for (const [kind, compared] of report.loads) {
    lines.push(labels[kind], ...formatLoad(compared, kind === 'small', report.stock(kind)), '');
  }
  lines.push('connector');
  lines.push(row('start, ms', `${range(report.startMs, 0)}`, 'to the first registration'));
  lines.push(row('start, CPU-s', report.startCpu.toFixed(2), 'with four connections registered'));
  lines.push(row('RSS idle, MB', report.idleMb.toFixed(0), 'before any request'));
  lines.push(row('RSS after, MB', report.afterMb.toFixed(0), 'a second after the last load'));
  return lines.join('\n');
}

/** The rows of one load; `small` ones are told by the request, others by the byte. */
export function formatLoad({ postern, nginx }: Compared, small: boolean, stock: StockFigure | undefined): string[] {
  const lines = [row('', 'postern', 'nginx', 'postern / nginx')];
  const compare = (name: string, pick: (sample: Sample) => number, digits: number): void => {
    const ours = postern.map(pick);
    const theirs = nginx.map(pick);
    const ratio = median(ours) / median(theirs);
    lines.push(row(name, range(ours, digits), range(theirs, digits), Number.isFinite(ratio) ? ratio.toFixed(2) : ''));
  };
  const cpu = (sample: Sample): number => (small ? sample.cpuPer10k : sample.cpuPerGb);
  const counted = postern.some(sample => !Number.isNaN(sample.kiloInstructionsPerRequest));
  compare(small ? 'CPU-s per 10,000' : 'CPU-s per GB', cpu, 3);
  if (stock !== undefined) lines.push(row('stock, estimated', formatStock(stock, median(postern.map(cpu)))));
  if (small) {
    if (counted) compare('instr. per request, k', sample => sample.kiloInstructionsPerRequest, 1);
    compare('requests/s', sample => sample.requestsPerSecond, 0);
  } else {
    if (counted) compare('instr. per MB, k', sample => sample.kiloInstructionsPerMb, 0);
    compare('MB/s', sample => sample.mbPerSecond, 0);
  }
  compare('p50 ms', sample => sample.p50Ms, 1);
  compare('p99 ms', sample => sample.p99Ms, 1);
  compare('RSS under load, MB', sample => sample.peakMb, 0);
  if ([...postern, ...nginx].some(sample => sample.failures > 0))
    compare('failed requests', sample => sample.failures, 0);
  return lines;
}

/** `1.38 (0.60 there): ours is 0.62 of it`. */
export function formatStock({ there, scaled }: StockFigure, ours: number): string {
  return `${scaled.toFixed(2)} (${there.toFixed(2)} there): ours is ${(ours / scaled).toFixed(2)} of it`;
}

function row(name: string, postern: string, nginx = '', ratio = ''): string {
  return `  ${name.padEnd(22)}${postern.padEnd(26)}${nginx.padEnd(26)}${ratio}`.trimEnd();
}
