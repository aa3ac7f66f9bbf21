// The edge's local HTTP endpoint for its operator: /metrics, /ready, /healthcheck. Source: architecture, rooms `edge` and
// `management`(what the on-ramps count).

import { exposeFamilies } from '../management/expose-metrics.ts';
import { type LocalAddress, type LocalServer, openLocalServer } from '../management/local-server.ts';
import type { BuildInfo, MetricFamily } from '../management/metric-values.ts';

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
  const expose = exposeFamilies(build, all);
  return openLocalServer([listen], async path => {
    switch (path) {
      case '/ready':
        return { status: 200, text: JSON.stringify({ status: 200, connections: connections() }) };
      case '/healthcheck':
        return { status: 200, text: 'OK\n' };
      case '/metrics': {
        return { status: 200, ...(await expose()) };
      }
      default:
        return undefined;
    }
  });
}
