// What slow visitors do in the benchmark of slow visitors, and how many there are.

/** How fast a slow reader takes: a poor mobile line. */
export const slowBytesPerSecond = 100_000;

/** Length of every slow body: longer than any measurement. */
export const slowBodyBytes = 1e9;

const slowKinds = ['nobody', 'down', 'down-stalled', 'up', 'up-stalled', 'streams-stalled'] as const;
/**
 * `down`: reads an answer slowly. `up`: sends to an origin that reads slowly. `-stalled`: who should read does not read at
 * all. `streams-stalled`: one HTTP/2 visitor with many streams of which none is read.
 */
export type SlowKind = (typeof slowKinds)[number];

export interface SlowCase {
  readonly kind: SlowKind;
  /** Visitors, or streams of the one. */
  readonly count: number;
}

/** Streams of the one HTTP/2 visitor. */
const stalledStreams = 100;

/** Where the slow origin is, in the way of the ingress rule that has uploads; it tells cases by the query. */
export const slowPaths: Readonly<Record<'down' | 'up' | 'up-stalled', string>> = {
  down: '/sink?down',
  up: '/sink?up',
  'up-stalled': '/sink?up-stalled',
};

/** Every case with each number of visitors, the empty one first. */
export function slowCases(visitors: readonly number[]): readonly SlowCase[] {
  const each = (['down', 'down-stalled', 'up', 'up-stalled'] as const).flatMap(kind =>
    visitors.map((count): SlowCase => ({ kind, count })),
  );
  return [{ kind: 'nobody', count: 0 }, ...each, { kind: 'streams-stalled', count: stalledStreams }];
}

export function labelOf({ kind, count }: SlowCase): string {
  const rate = `${slowBytesPerSecond / 1_000} KB/s`;
  const labels: Readonly<Record<SlowKind, string>> = {
    nobody: 'nobody slow',
    down: `${count} downloads at ${rate}`,
    'down-stalled': `${count} downloads not read`,
    up: `${count} uploads at ${rate}`,
    'up-stalled': `${count} uploads not read`,
    'streams-stalled': `${count} streams of one, not read`,
  };
  return labels[kind];
}
