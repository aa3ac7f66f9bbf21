// The connector's counters under cloudflared's metric names, so that existing dashboards work.
// Source: docs/protocol/commands-and-api.md §14 (the metrics whose features exist here).

import { hostMetrics } from '../telemetry/host-figures.ts';
import { counter, gauge, histogram, type MetricFamily } from '../telemetry/metrics.ts';
import { rpcFailures, rpcMetrics } from '../telemetry/rpc-figures.ts';
import type { ConnectorMetrics } from './metric-values.ts';

const tunnel = 'cloudflared_tunnel';

/** All families, with those that other rooms added. */
export function connectorMetrics(metrics: ConnectorMetrics): readonly MetricFamily[] {
  return [
    ...requestMetrics(metrics),
    ...hostMetrics(tunnel, () => metrics.hosts.all()),
    ...registrationMetrics(metrics),
    ...rpcMetrics('client', metrics.rpcClient),
    ...rpcMetrics('server', metrics.rpcServer),
    ...metrics.families,
  ];
}

function requestMetrics(metrics: ConnectorMetrics): readonly MetricFamily[] {
  return [
    counter(`${tunnel}_total_requests`, 'Amount of requests proxied through all the tunnels', [], () => [
      [{}, metrics.requests],
    ]),
    gauge(`${tunnel}_concurrent_requests_per_tunnel`, 'Concurrent requests proxied through each tunnel', [], () => [
      [{}, metrics.concurrentRequests],
    ]),
    counter(`${tunnel}_request_errors`, 'Count of error proxying to origin', [], () => [[{}, metrics.requestErrors]]),
    counter(`${tunnel}_response_by_code`, 'Count of responses by HTTP status code', ['status_code'], () =>
      [...metrics.responses].map(([status, count]) => [{ status_code: status }, count]),
    ),
    histogram('cloudflared_proxy_connect_latency', 'Time to connect to an origin in milliseconds', [], () => [
      [{}, metrics.connectLatency],
    ]),
    counter('cloudflared_proxy_connect_streams_errors', 'Total failures establishing a stream to an origin', [], () => [
      [{}, metrics.connectErrors],
    ]),
    gauge('cloudflared_tcp_active_sessions', 'Concurrent count of TCP sessions', [], () => [[{}, metrics.activeTcp]]),
    counter('cloudflared_tcp_total_sessions', 'Total count of TCP sessions', [], () => [[{}, metrics.totalTcp]]),
  ];
}

function registrationMetrics(metrics: ConnectorMetrics): readonly MetricFamily[] {
  const rpcName = 'registerConnection';
  return [
    gauge(`${tunnel}_ha_connections`, 'Number of active ha connections', [], () => [[{}, metrics.haConnections]]),
    gauge(`${tunnel}_server_locations`, 'Where each tunnel is connected to', ['connection_id', 'edge_location'], () =>
      [...metrics.locations].map(([index, location]) => [{ connection_id: index, edge_location: location }, 1]),
    ),
    counter(`${tunnel}_tunnel_register_success`, 'Count of successful tunnel registrations', ['rpcName'], () => [
      [{ rpcName }, metrics.registrations],
    ]),
    counter(`${tunnel}_tunnel_register_fail`, 'Count of tunnel registration errors by type', ['error', 'rpcName'], () =>
      [...metrics.registrationFailures].map(([error, count]) => [{ error, rpcName }, count]),
    ),
    counter(`${tunnel}_tunnel_rpc_fail`, 'Count of other failed calls by type', ['error', 'rpcName'], () =>
      rpcFailures(metrics.rpcClient),
    ),
    counter('cloudflared_config_local_config_pushes', 'Number of local configuration pushes to the edge', [], () => [
      [{}, metrics.configurationPushes],
    ]),
    counter(
      'cloudflared_config_local_config_pushes_errors',
      'Number of errors of local configuration pushes',
      [],
      () => [[{}, metrics.configurationPushErrors]],
    ),
    gauge('cloudflared_orchestration_config_version', 'Configuration version', [], () => [
      [{}, metrics.configurationVersion],
    ]),
  ];
}
