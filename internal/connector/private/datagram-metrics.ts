// Private UDP and ICMP under the metric names that cloudflared's users know, read from the counters when somebody asks.
// Reasons of drops that are ours: `send_…`, what the connection to the edge had no room for, and `read_full`, what the
// kernel's buffer of a session's socket had none for.
// Source: docs/protocol/datagrams.md §8, §10.

import type { ConnectorMetrics } from '../../management/metric-values.ts';
import { counter, gauge, type MetricFamily, type MetricSample, type ReadSamples } from '../../telemetry/metrics.ts';
import type { DatagramUsage, PrivateTraffic } from './private-traffic.ts';

const index = ['conn_index'];

/** All families; `metrics` holds the counts of private TCP. */
export function datagramMetrics(
  traffic: PrivateTraffic,
  metrics: Pick<ConnectorMetrics, 'tcpRateLimited' | 'virtualDnsTcp'>,
): MetricFamily[] {
  const echo = traffic.echo?.counters;
  return [
    ...sessionMetrics(traffic),
    counter('cloudflared_udp_dropped_datagrams', 'UDP payloads dropped', ['conn_index', 'reason'], () =>
      traffic.usage.flatMap(usage => drops(usage, 'dropped')),
    ),
    counter('cloudflared_icmp_dropped_packets', 'ICMP packets dropped', ['conn_index', 'reason'], () =>
      traffic.usage.flatMap(usage => drops(usage, 'droppedPackets')),
    ),
    counter('cloudflared_icmp_total_requests', 'Echo requests sent', [], () => [[{}, echo?.requests ?? 0]]),
    counter('cloudflared_icmp_total_replies', 'Echo replies returned', [], () => [[{}, echo?.replies ?? 0]]),
    counter('quic_client_packet_too_big_dropped', 'UDP payloads of origins that fit no datagram', [], () => [
      [{}, sum(traffic.usage, ({ counters: { dropped } }) => dropped.read_too_large + dropped.send_too_large)],
    ]),
    counter('flow_client_registrations_rate_limited_total', 'Flows refused at the flow limit', ['flow_type'], () => [
      [{ flow_type: 'tcp' }, metrics.tcpRateLimited],
      [{ flow_type: 'udp' }, sum(traffic.usage, ({ counters }) => counters.rateLimited)],
    ]),
    counter('cloudflared_virtual_origins_dns_requests_total', 'Flows to the virtual resolver', ['protocol'], () => [
      [{ protocol: 'tcp' }, metrics.virtualDnsTcp],
      [{ protocol: 'udp' }, sum(traffic.usage, ({ counters }) => counters.virtualDns)],
    ]),
  ];
}

/** Sessions are what v2 has; v3 calls them flows and counts them per connection index. */
function sessionMetrics(traffic: PrivateTraffic): MetricFamily[] {
  const of = (version: 2 | 3): readonly DatagramUsage[] => traffic.usage.filter(usage => usage.version === version);
  const perIndex =
    (read: (usage: DatagramUsage) => number): ReadSamples =>
    () =>
      of(3).map(usage => [{ conn_index: usage.connIndex }, read(usage)]);
  const udp = 'cloudflared_udp';
  return [
    gauge(`${udp}_active_sessions`, 'Concurrent UDP sessions', [], () => [[{}, sum(of(2), active)]]),
    counter(`${udp}_total_sessions`, 'UDP sessions created', [], () => [[{}, sum(of(2), created)]]),
    gauge(`${udp}_active_flows`, 'Concurrent UDP flows', index, perIndex(active)),
    counter(`${udp}_total_flows`, 'UDP flows created', index, perIndex(created)),
    counter(
      ...([`${udp}_failed_flows`, 'UDP flows that could not be made', index] as const),
      perIndex(({ counters }) => counters.failedSessions),
    ),
    counter(
      ...([`${udp}_retry_flow_responses`, 'Registrations of a known UDP flow, answered again', index] as const),
      perIndex(({ counters }) => counters.retryResponses),
    ),
    counter(
      ...([`${udp}_migrated_flows`, 'UDP flows that moved to this connection', index] as const),
      perIndex(({ counters }) => counters.migratedSessions),
    ),
    counter(
      `${udp}_unsupported_remote_command_total`,
      'Calls of the edge that belong to another datagram version',
      ['conn_index', 'command'],
      () =>
        of(3).flatMap(({ connIndex, counters }) =>
          Object.entries(counters.unsupportedCommands).map(
            ([command, value]): MetricSample => [{ conn_index: connIndex, command }, value],
          ),
        ),
    ),
  ];
}

function drops({ connIndex, counters }: DatagramUsage, kind: 'dropped' | 'droppedPackets'): MetricSample[] {
  return Object.entries(counters[kind]).map(([reason, value]) => [{ conn_index: connIndex, reason }, value]);
}

function active({ counters }: DatagramUsage): number {
  return counters.activeSessions;
}

function created({ counters }: DatagramUsage): number {
  return counters.totalSessions;
}

function sum(usages: readonly DatagramUsage[], read: (usage: DatagramUsage) => number): number {
  return usages.reduce((total, usage) => total + read(usage), 0);
}
