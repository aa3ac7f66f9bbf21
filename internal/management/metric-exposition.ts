// The connector's counters under cloudflared's metric names, so that existing dashboards work; and those of an edge,
// under the names that its rooms give them. Source: docs/protocol/commands-and-api.md §14 (the metrics whose features
// exist here).

import { Counter, Gauge, Registry } from 'prom-client';
import type { BuildInfo, ConnectorMetrics, MetricFamily, MetricsText } from './metric-values.ts';

const tunnel = 'cloudflared_tunnel';

/** Every value is read when it is asked for. */
export function createExposition(metrics: ConnectorMetrics): () => Promise<MetricsText> {
  const registry = newRegistry(metrics.build);
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  };
  const counter = (name: string, help: string, read: () => number): void => {
    new Counter({
      name,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  };
  gauge(`${tunnel}_ha_connections`, 'Number of active ha connections', () => metrics.haConnections);
  counter(`${tunnel}_total_requests`, 'Amount of requests proxied through all the tunnels', () => metrics.requests);
  gauge(
    `${tunnel}_concurrent_requests_per_tunnel`,
    'Concurrent requests proxied through each tunnel',
    () => metrics.concurrentRequests,
  );
  counter(`${tunnel}_request_errors`, 'Count of error proxying to origin', () => metrics.requestErrors);
  counter(
    'cloudflared_proxy_connect_streams_errors',
    'Total failures establishing a stream to an origin',
    () => metrics.connectErrors,
  );
  gauge('cloudflared_tcp_active_sessions', 'Concurrent count of TCP sessions', () => metrics.activeTcp);
  counter('cloudflared_tcp_total_sessions', 'Total count of TCP sessions', () => metrics.totalTcp);
  counter(
    'cloudflared_config_local_config_pushes',
    'Number of local configuration pushes to the edge',
    () => metrics.configurationPushes,
  );
  counter(
    'cloudflared_config_local_config_pushes_errors',
    'Number of errors of local configuration pushes',
    () => metrics.configurationPushErrors,
  );
  gauge('cloudflared_orchestration_config_version', 'Configuration version', () => metrics.configurationVersion);
  exposeLabelled(registry, metrics);
  for (const family of metrics.families) exposeFamily(registry, family);
  return async () => ({ text: await registry.metrics(), contentType: registry.contentType });
}

/** Only families. */
export function createFamilyExposition(
  build: BuildInfo,
  families: readonly MetricFamily[],
): () => Promise<MetricsText> {
  const registry = newRegistry(build);
  for (const family of families) exposeFamily(registry, family);
  return async () => ({ text: await registry.metrics(), contentType: registry.contentType });
}

function newRegistry({ runtime, version }: BuildInfo): Registry {
  const registry = new Registry();
  new Gauge({
    name: 'build_info',
    help: 'Build and version information',
    labelNames: ['goversion', 'type', 'revision', 'version'],
    registers: [registry],
  }).set({ goversion: runtime, type: 'postern', revision: '', version }, 1);
  return registry;
}

function exposeFamily(registry: Registry, { kind, name, help, labelNames, read }: MetricFamily): void {
  const Metric = kind === 'counter' ? Counter : Gauge;
  new Metric({
    ...{ name, help, labelNames: [...labelNames], registers: [registry] },
    collect() {
      this.reset();
      for (const [labels, value] of read()) this.inc(labels, value);
    },
  });
}

function exposeLabelled(registry: Registry, metrics: ConnectorMetrics): void {
  const { responses, registrationFailures: failures, locations } = metrics;
  new Counter({
    name: `${tunnel}_response_by_code`,
    help: 'Count of responses by HTTP status code',
    labelNames: ['status_code'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [status, count] of responses) this.inc({ status_code: String(status) }, count);
    },
  });
  new Gauge({
    name: `${tunnel}_server_locations`,
    help: 'Where each tunnel is connected to',
    labelNames: ['connection_id', 'edge_location'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [index, location] of locations) this.set({ connection_id: String(index), edge_location: location }, 1);
    },
  });
  new Counter({
    name: `${tunnel}_tunnel_register_success`,
    help: 'Count of successful tunnel registrations',
    labelNames: ['rpcName'],
    registers: [registry],
    collect() {
      this.reset();
      this.inc({ rpcName: 'registerConnection' }, metrics.registrations);
    },
  });
  new Counter({
    name: `${tunnel}_tunnel_register_fail`,
    help: 'Count of tunnel registration errors by type',
    labelNames: ['error', 'rpcName'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [error, count] of failures) this.inc({ error, rpcName: 'registerConnection' }, count);
    },
  });
}
