// The text of metrics on demand: what makes it is loaded with the first scrape, some 15 MB that a program which nobody watches
// does without.

import type { BuildInfo, ConnectorMetrics, MetricFamily, MetricsText } from './metric-values.ts';

/** A connector's. */
export function exposeMetrics(metrics: ConnectorMetrics): () => Promise<MetricsText> {
  return onDemand(async () => (await import('./metric-exposition.ts')).createExposition(metrics));
}

/** Only families. */
export function exposeFamilies(build: BuildInfo, families: readonly MetricFamily[]): () => Promise<MetricsText> {
  return onDemand(async () => (await import('./metric-exposition.ts')).createFamilyExposition(build, families));
}

function onDemand(load: () => Promise<() => Promise<MetricsText>>): () => Promise<MetricsText> {
  let expose: Promise<() => Promise<MetricsText>> | undefined;
  return async () => {
    expose ??= load();
    return (await expose)();
  };
}
