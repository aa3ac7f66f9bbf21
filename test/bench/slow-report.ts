// The table of slow visitors: a line for each case and contender.

import type { LoadResult } from './load.ts';

export interface SlowResult {
  /** Of the case. */
  readonly label: string;
  /** Of the contender. */
  readonly name: string;
  /** The fast visitor while the slow ones come, and while they stand. */
  readonly arriving: LoadResult;
  readonly standing: LoadResult;
  /** Resident memory before the slow ones came, and the most with them, of the edge and of the connector. */
  readonly restMb: readonly number[];
  readonly peakMb: readonly number[];
  /** Slow visitors that began, and those cut off before they were ended. */
  readonly begun: number;
  readonly lost: number;
  /** What slow readers among the visitors took, all together. */
  readonly slowMbPerSecond: number;
}

const columns = [
  ...['p50 ms', 'p99 ms', 'longest', 'p99 arriving', 'answers', 'failed', 'edge MB', 'connector MB'],
  ...['begun', 'lost', 'slow MB/s'],
];

/** `seconds`: how long the slow ones stood; they had half of that to come. */
export function formatSlow(protocol: string, seconds: number, results: readonly SlowResult[]): string {
  const lines = [
    `One fast visitor beside slow ones over ${protocol}, ${seconds / 2} s while they come and ${seconds} s with them; RSS at rest → peak`,
    row('', '', columns),
  ];
  let label = '';
  for (const result of results) {
    lines.push(row(result.label === label ? '' : result.label, result.name, cells(result)));
    label = result.label;
  }
  return lines.join('\n');
}

function cells({ arriving, standing, ...result }: SlowResult): readonly string[] {
  const memory = (process: number): string =>
    `${(result.restMb[process] ?? Number.NaN).toFixed(0)} → ${(result.peakMb[process] ?? Number.NaN).toFixed(0)}`;
  return [
    standing.p50Ms.toFixed(1),
    standing.p99Ms.toFixed(1),
    Math.max(standing.longestMs, arriving.longestMs).toFixed(0),
    arriving.p99Ms.toFixed(1),
    String(arriving.requests + standing.requests),
    String(arriving.failures + standing.failures),
    memory(0),
    memory(1),
    String(result.begun),
    String(result.lost),
    result.slowMbPerSecond.toFixed(1),
  ];
}

function row(label: string, name: string, texts: readonly string[]): string {
  const aligned = texts.map((text, at) =>
    text.padStart(Math.max(columns[at]?.length ?? 0, at === 6 || at === 7 ? 12 : 7)),
  );
  return `  ${label.padEnd(30)}${name.padEnd(8)}${aligned.join(' ')}`.trimEnd();
}
