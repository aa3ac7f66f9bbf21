// What a soak is judged by: samples of each process and counts of the load against ceilings. Pure.

export interface Sample {
  /** Since the load began; negative before, larger than its length after it. */
  readonly atMs: number;
  readonly residentMb: number;
  readonly descriptors: number;
  readonly threads: number;
}

/** Of one kind of load. */
export interface LoadCounts {
  readonly done: number;
  /** Failed while nothing was cut. */
  readonly failed: number;
  /** Failed because the soak cut the connections just then. */
  readonly cut: number;
  /** The first failure's words. */
  readonly firstFailure: string | undefined;
}

export interface SoakResult {
  readonly lengthMs: number;
  readonly processes: Readonly<Record<string, readonly Sample[]>>;
  readonly loads: Readonly<Record<string, LoadCounts>>;
  /** What went wrong beside: a process that ended, a connector that did not come back. */
  readonly faults: readonly string[];
}

export interface Verdict {
  readonly subject: string;
  readonly what: string;
  /** As texts for the table. */
  readonly found: string;
  readonly ceiling: string;
  readonly passed: boolean;
}

/**
 * Growth of the memory that stays: lowest values of a window, so that garbage which waits for its collection does not count. A leak
 * of 1 KiB a request is some 100 MB in five minutes of this load; heaps that settle grow by up to 20 MB.
 */
const maxGrowthMb = 32;
const maxGrowthShare = 0.25;
/** Once the load is over and idle connections are closed. Compiled code, watched files and logs take a few. */
const maxMoreDescriptors = 12;
const maxMoreThreads = 4;
/** Of the requests that were cut on purpose there is no ceiling; others fail never. */
const maxFailed = 0;
/** Every kind of load must have happened. */
const minDone = 1;

/** The second fifth is warm, the last one is the end. */
const early = [0.2, 0.4] as const;
const late = [0.8, 1] as const;

/** In the order of the table. */
export function judge(result: SoakResult): readonly Verdict[] {
  const verdicts: Verdict[] = [];
  for (const [subject, samples] of Object.entries(result.processes))
    verdicts.push(...judgeProcess(subject, samples, result.lengthMs));
  for (const [subject, { cut, done, failed, firstFailure }] of Object.entries(result.loads)) {
    const why = firstFailure === undefined ? '' : `: ${firstFailure}`;
    verdicts.push({
      subject,
      what: 'failures',
      found: `${failed} of ${done + failed + cut} (${cut} more cut on purpose)${why}`,
      ceiling: `${maxFailed}, and ${minDone} done`,
      passed: failed <= maxFailed && done >= minDone,
    });
  }
  for (const fault of result.faults)
    verdicts.push({ subject: 'soak', what: 'fault', found: fault, ceiling: 'none', passed: false });
  return verdicts;
}

function judgeProcess(subject: string, samples: readonly Sample[], lengthMs: number): readonly Verdict[] {
  const within = ([from, to]: readonly [number, number]): readonly Sample[] =>
    samples.filter(({ atMs }) => atMs >= from * lengthMs && atMs <= to * lengthMs);
  const before = lowest(within(early), 'residentMb');
  const after = lowest(within(late), 'residentMb');
  const [first, last] = [samples.at(0), samples.at(-1)];
  if (before === undefined || after === undefined || first === undefined || last === undefined || last.atMs <= lengthMs)
    return [{ subject, what: 'samples', found: `${samples.length}, too few`, ceiling: 'none', passed: false }];
  const growthMb = after - before;
  const ceilingMb = Math.max(maxGrowthMb, before * maxGrowthShare);
  const more = (what: 'descriptors' | 'threads', ceiling: number): Verdict => ({
    subject,
    what,
    found: `${first[what]} → ${last[what]}, at most ${Math.max(...samples.map(sample => sample[what]))}`,
    ceiling: `+${ceiling}`,
    passed: last[what] - first[what] <= ceiling,
  });
  return [
    {
      subject,
      what: 'memory, MB',
      found: `${before.toFixed(0)} → ${after.toFixed(0)}`,
      ceiling: `+${ceilingMb.toFixed(0)}`,
      passed: growthMb <= ceilingMb,
    },
    more('descriptors', maxMoreDescriptors),
    more('threads', maxMoreThreads),
  ];
}

function lowest(samples: readonly Sample[], what: 'residentMb'): number | undefined {
  return samples.length === 0 ? undefined : Math.min(...samples.map(sample => sample[what]));
}

/** The lines of a table. */
export function formatVerdicts(verdicts: readonly Verdict[]): string {
  const rows = [
    ['', 'what', 'found', 'ceiling', ''],
    ...verdicts.map(({ ceiling, found, passed, subject, what }) => [
      subject,
      what,
      found,
      ceiling,
      passed ? 'ok' : 'OVER',
    ]),
  ];
  const widths = [0, 1, 2, 3].map(column => Math.max(...rows.map(row => row[column]?.length ?? 0)));
  return rows
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
