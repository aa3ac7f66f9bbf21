// A connector has every metric of cloudflared under its name, type and labels, or docs/metrics.md says why not.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { connectorMetrics } from '../../internal/management/connector-metrics.ts';
import { exposedFamilies } from '../../internal/management/metric-exposition.ts';
import { openWorld } from '../support/edge-world.ts';

const read = (file: string): string => readFileSync(join(import.meta.dirname, '../..', file), 'utf8');

/** Type and labels by name, of docs/protocol/commands-and-api.md §14, docs/protocol/datagrams.md §10, and Go's process. */
const cloudflared: Readonly<Record<string, readonly [kind: string, ...labels: string[]]>> = {
  build_info: ['gauge', 'goversion', 'type', 'revision', 'version'],
  cloudflared_tunnel_ha_connections: ['gauge'],
  cloudflared_tunnel_total_requests: ['counter'],
  cloudflared_tunnel_concurrent_requests_per_tunnel: ['gauge'],
  cloudflared_tunnel_request_errors: ['counter'],
  cloudflared_tunnel_response_by_code: ['counter', 'status_code'],
  cloudflared_tunnel_server_locations: ['gauge', 'connection_id', 'edge_location'],
  cloudflared_tunnel_max_concurrent_requests_per_tunnel: ['gauge', 'connection_id'],
  cloudflared_tunnel_user_hostnames_counts: ['counter', 'userHostname'],
  cloudflared_tunnel_tunnel_register_success: ['counter', 'rpcName'],
  cloudflared_tunnel_tunnel_register_fail: ['counter', 'error', 'rpcName'],
  cloudflared_tunnel_tunnel_rpc_fail: ['counter', 'error', 'rpcName'],
  cloudflared_config_local_config_pushes: ['counter'],
  cloudflared_config_local_config_pushes_errors: ['counter'],
  cloudflared_orchestration_config_version: ['gauge'],
  cloudflared_tcp_active_sessions: ['gauge'],
  cloudflared_tcp_total_sessions: ['counter'],
  cloudflared_proxy_connect_latency: ['histogram'],
  cloudflared_proxy_connect_streams_errors: ['counter'],
  cloudflared_rpc_server_operations: ['counter', 'handler', 'method'],
  cloudflared_rpc_server_failures: ['counter', 'handler', 'method'],
  cloudflared_rpc_server_latency_secs: ['histogram', 'handler', 'method'],
  cloudflared_rpc_client_operations: ['counter', 'handler', 'method'],
  cloudflared_rpc_client_failures: ['counter', 'handler', 'method'],
  cloudflared_rpc_client_latency_secs: ['histogram', 'handler', 'method'],
  cloudflared_virtual_origins_dns_requests_total: ['counter', 'protocol'],
  cloudflared_udp_active_sessions: ['gauge'],
  cloudflared_udp_total_sessions: ['counter'],
  cloudflared_udp_active_flows: ['gauge', 'conn_index'],
  cloudflared_udp_total_flows: ['counter', 'conn_index'],
  cloudflared_udp_failed_flows: ['counter', 'conn_index'],
  cloudflared_udp_retry_flow_responses: ['counter', 'conn_index'],
  cloudflared_udp_migrated_flows: ['counter', 'conn_index'],
  cloudflared_udp_unsupported_remote_command_total: ['counter', 'conn_index', 'command'],
  cloudflared_udp_dropped_datagrams: ['counter', 'conn_index', 'reason'],
  cloudflared_icmp_dropped_packets: ['counter', 'conn_index', 'reason'],
  cloudflared_icmp_total_requests: ['counter'],
  cloudflared_icmp_total_replies: ['counter'],
  flow_client_registrations_rate_limited_total: ['counter', 'flow_type'],
  quic_client_total_connections: ['counter'],
  quic_client_closed_connections: ['counter'],
  quic_client_max_udp_payload: ['gauge', 'conn_index'],
  quic_client_min_rtt: ['gauge', 'conn_index'],
  quic_client_latest_rtt: ['gauge', 'conn_index'],
  quic_client_smoothed_rtt: ['gauge', 'conn_index'],
  quic_client_mtu: ['gauge', 'conn_index'],
  quic_client_congestion_window: ['gauge', 'conn_index'],
  quic_client_congestion_state: ['gauge', 'conn_index'],
  quic_client_sent_frames: ['counter', 'conn_index', 'frame_type'],
  quic_client_received_frames: ['counter', 'conn_index', 'frame_type'],
  quic_client_sent_bytes: ['counter', 'conn_index'],
  quic_client_receive_bytes: ['counter', 'conn_index'],
  quic_client_buffered_packets: ['counter', 'conn_index', 'packet_type'],
  quic_client_dropped_packets: ['counter', 'conn_index', 'packet_type', 'reason'],
  quic_client_lost_packets: ['counter', 'conn_index', 'reason'],
  quic_client_packet_too_big_dropped: ['counter'],
  tunnel_ids: ['gauge', 'tunnel_id', 'ha_conn_id'],
  process_cpu_seconds_total: ['counter'],
  process_max_fds: ['gauge'],
  process_network_receive_bytes_total: ['counter'],
  process_network_transmit_bytes_total: ['counter'],
  process_open_fds: ['gauge'],
  process_resident_memory_bytes: ['gauge'],
  process_start_time_seconds: ['gauge'],
  process_virtual_memory_bytes: ['gauge'],
  process_virtual_memory_max_bytes: ['gauge'],
};

describe('metrics of a connector', () => {
  it('have the names, types and labels of cloudflared, but for those that docs/metrics.md lists', async t => {
    const { connector } = await openWorld(t, 'http_status:204', {
      protocol: 'quic',
      tunnel: { quickTunnelHost: 'calm-otter.example.test' },
    });
    const { build } = connector.metrics;
    const shown = new Map(
      exposedFamilies(build, connectorMetrics(connector.metrics)).map(({ name, kind, labelNames }) => [
        name,
        [kind, ...[...labelNames].sort()],
      ]),
    );
    const absent = new Set([...read('docs/metrics.md').matchAll(/^\| `(\w+)` \|/gm)].map(([, name = '']) => name));
    const differing = Object.entries(cloudflared)
      .map(([name, [kind, ...labels]]) => ({ name, ours: shown.get(name), theirs: [kind, ...labels.sort()] }))
      .filter(({ name, ours, theirs }) => (absent.has(name) ? ours !== undefined : ours?.join() !== theirs.join()));
    assert.deepEqual(differing, []);
    assert.deepEqual(
      [...absent].filter(name => !(name in cloudflared)),
      [],
    );
  });

  it('are all the names that the protocol pages list', () => {
    const section = (page: string, heading: string): string => {
      const text = read(`docs/protocol/${page}.md`);
      const from = text.indexOf(`\n## ${heading}`);
      assert.notEqual(from, -1, heading);
      return text.slice(from, text.indexOf('\n---', from));
    };
    const pages = section('commands-and-api', '14. Metric catalogue') + section('datagrams', '10. Metrics');
    const named = [...pages.matchAll(/^\| ((?:cloudflared|quic_client|flow_client)_\w+)/gm)].map(
      ([, name = '']) => name,
    );
    assert.ok(named.length > 20);
    const unknown = named.filter(name => !(name in cloudflared) && name !== 'cloudflared_udp_');
    assert.deepEqual(unknown, []);
  });
});
