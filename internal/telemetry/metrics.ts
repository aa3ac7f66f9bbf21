// Metrics in the one style of this program: whoever counts holds plain numbers, and a family says how they are read when a
// scrape asks. Nothing is registered, and counting is an addition. Their text is management/metric-exposition.ts.

/** One value of a family, with the labels it goes under. */
export type MetricSample = readonly [labels: Readonly<Record<string, string | number>>, value: number];
export type ReadSamples = () => readonly MetricSample[];

/** One histogram of a family, with the labels it goes under. */
export type HistogramSample = readonly [labels: Readonly<Record<string, string | number>>, histogram: Histogram];

interface FamilyHead {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

/** A metric that is counted elsewhere and read when somebody asks. Samples of the same labels add up. */
export type MetricFamily =
  | (FamilyHead & { readonly kind: 'counter' | 'gauge'; readonly read: ReadSamples })
  | (FamilyHead & { readonly kind: 'histogram'; readonly read: () => readonly HistogramSample[] });

export function counter(name: string, help: string, labelNames: readonly string[], read: ReadSamples): MetricFamily {
  return { kind: 'counter', name, help, labelNames, read };
}

export function gauge(name: string, help: string, labelNames: readonly string[], read: ReadSamples): MetricFamily {
  return { kind: 'gauge', name, help, labelNames, read };
}

export function histogram(
  name: string,
  help: string,
  labelNames: readonly string[],
  read: () => readonly HistogramSample[],
): MetricFamily {
  return { kind: 'histogram', name, help, labelNames, read };
}

/** Values counted by size. Observing is a short walk and two additions; it allocates nothing. */
export class Histogram {
  /** Upper bounds, inclusive, ascending; one more bucket takes what is above. */
  readonly bounds: readonly number[];
  /** Values in each bucket alone, the one above the bounds last. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const { bounds, counts } = this;
    let at = 0;
    while (at < bounds.length && value > (bounds[at] as number)) at += 1;
    counts[at] = (counts[at] as number) + 1;
    this.sum += value;
  }
}
