// The text of metrics on demand: what makes it is loaded with the first scrape, some 15 MB that a program which nobody watches
// does without.

import type { MetricFamily } from '../telemetry/metrics.ts';
import type { BuildInfo, MetricsText } from './metric-values.ts';

/** `families` is read at the first scrape. */
export function exposeMetrics(build: BuildInfo, families: readonly MetricFamily[]): () => Promise<MetricsText> {
  let expose: Promise<() => Promise<MetricsText>> | undefined;
  return async () => {
    expose ??= import('./metric-exposition.ts').then(loaded => loaded.createExposition(build, families));
    return (await expose)();
  };
}
