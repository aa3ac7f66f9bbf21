// The text of metric families for a scrape, made by prom-client. Every value is read when it is asked for.

import { Counter, Gauge, type Metric, Registry } from 'prom-client';
import { gauge, type HistogramSample, type MetricFamily } from '../telemetry/metrics.ts';
import type { BuildInfo, MetricsText } from './metric-values.ts';
import { processMetrics } from './process-metrics.ts';

/** `exposedFamilies` as text. Throws Error when two have one name. */
export function createExposition(build: BuildInfo, families: readonly MetricFamily[]): () => Promise<MetricsText> {
  const registry = new Registry();
  for (const family of exposedFamilies(build, families)) expose(registry, family);
  return async () => ({ text: await registry.metrics(), contentType: registry.contentType });
}

/** `build_info`, the families of the process, and those given: all that a program tells. */
export function exposedFamilies(build: BuildInfo, families: readonly MetricFamily[]): readonly MetricFamily[] {
  return [buildInfo(build), ...processMetrics(), ...families];
}

function buildInfo({ runtime, version }: BuildInfo): MetricFamily {
  const labels = { goversion: runtime, type: 'postern', revision: '', version };
  return gauge('build_info', 'Build and version information', Object.keys(labels), () => [[labels, 1]]);
}

function expose(registry: Registry, family: MetricFamily): void {
  const { name, help, kind, labelNames } = family;
  if (kind === 'histogram') {
    // prom-client's own histogram only counts by itself; its registry takes whatever can give its values.
    const values = async () => ({
      name,
      help,
      type: kind,
      aggregator: 'sum',
      values: family.read().flatMap(sample => linesOf(name, sample)),
    });
    registry.registerMetric({ name, get: values } as unknown as Metric);
    return;
  }
  const Metric = kind === 'counter' ? Counter : Gauge;
  new Metric({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect() {
      this.reset();
      for (const [labels, value] of family.read()) this.inc(labels, value);
    },
  });
}

interface Line {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** Buckets hold what is up to their bound, all below included. */
function linesOf(name: string, [labels, { bounds, counts, sum }]: HistogramSample): Line[] {
  let count = 0;
  const lines: Line[] = [];
  for (const [at, inBucket] of counts.entries()) {
    count += inBucket;
    lines.push({ metricName: `${name}_bucket`, labels: { ...labels, le: bounds[at] ?? '+Inf' }, value: count });
  }
  lines.push({ metricName: `${name}_sum`, labels, value: sum }, { metricName: `${name}_count`, labels, value: count });
  return lines;
}
