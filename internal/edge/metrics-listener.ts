// The edge's local HTTP endpoint for its operator: /metrics, /ready, /healthcheck. Source: architecture, rooms `edge` and
// `management`; issue "private networks" point 5 (what the on-ramps count).

import { type LocalAddress, type LocalServer, openLocalServer } from '../management/local-server.ts';
import type { BuildInfo, MetricFamily, MetricsText } from '../management/metric-values.ts';

export interface MetricsListenerOptions {
  readonly listen: LocalAddress;
  readonly build: BuildInfo;
  readonly families: readonly MetricFamily[];
  /** Registered connections of connectors now. */
  readonly connections: () => number;
}

/** Listens. Rejects with 'listen.failed'. */
export function openMetricsListener(options: MetricsListenerOptions): Promise<LocalServer> {
  const { build, connections, families, listen } = options;
  const all: MetricFamily[] = [
    {
      ...{ kind: 'gauge', name: 'postern_connector_connections', labelNames: [] },
      help: 'Registered connections of connectors',
      read: () => [[{}, connections()]],
    },
    ...families,
  ];
  let expose: (() => Promise<MetricsText>) | undefined;
  return openLocalServer([listen], async path => {
    switch (path) {
      case '/ready':
        return { status: 200, text: JSON.stringify({ status: 200, connections: connections() }) };
      case '/healthcheck':
        return { status: 200, text: 'OK\n' };
      case '/metrics': {
        // Loaded with the first scrape: an edge that nobody watches does without.
        expose ??= (await import('../management/metric-exposition.ts')).createFamilyExposition(build, all);
        return { status: 200, ...(await expose()) };
      }
      default:
        return undefined;
    }
  });
}
