// Metrics by host of a real connector, as a scraper sees them, and the names that published dashboards ask for.

import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { describe, it, type TestContext } from 'node:test';
import { openWorld as openEdgeWorld } from '../../test/support/edge-world.ts';
import { listen } from '../../test/support/origin-server.ts';
import { readMetrics } from '../../test/support/read-metrics.ts';
import { until } from '../../test/support/wait.ts';
import { parseRemoteConfig } from '../schema/remote-config.ts';
import { fixedProtocol } from './protocol/protocol-policy.ts';

const any = { host: '127.0.0.1', port: 0 } as const;
const requests = (host: string, status: string) =>
  `cloudflared_tunnel_host_requests_total{host="${host}",status="${status}"}`;

async function openWorld(t: TestContext, protocol: 'http2' | 'quic') {
  const http1 = await listen(
    t,
    createServer((incoming, response) => {
      if (incoming.url === '/cut') response.write('part', () => response.destroy());
      else incoming.resume().once('end', () => response.end('0123456789'));
    }),
  );
  const http2 = await listen(
    t,
    createHttp2Server((incoming, response) => incoming.resume().once('end', () => response.end('01234'))),
  );
  const { world, tunnel, connector } = await openEdgeWorld(t, 'http_status:404', {
    protocol,
    tunnel: { metrics: any, policy: fixedProtocol(protocol) },
  });
  const { store } = world.edge;
  const { accountTag, id: tunnelId } = tunnel;
  await store.hostnames.route(
    { hostname: '*.example.test', tunnelId, accountTag, createdAtMs: 0 },
    { overwrite: false },
  );
  const configure = async (ingress: readonly unknown[]): Promise<void> => {
    const live = { maxActiveFlows: undefined, tags: {}, allowedDestinations: [] };
    assert.equal((await connector.reload(parseRemoteConfig({ ingress }), live)).error, undefined);
  };
  const ask = (host: string, path = '/', body?: Buffer) =>
    new Promise<number>((resolve, reject) => {
      const method = body === undefined ? 'GET' : 'POST';
      const call = request({ port: world.httpPort, method, path, headers: { host }, agent: false }, response => {
        response.resume().on('error', () => undefined);
        response.once('close', () => resolve(response.statusCode ?? 0));
      });
      call.once('error', reject).end(body);
    });
  const address = connector.health?.address ?? assert.fail('no metrics');
  return { http1, http2, configure, ask, scrape: () => readMetrics(address) };
}

describe('metrics by host at the connector', () => {
  for (const protocol of ['http2', 'quic'] as const) {
    it(`count requests, times and sizes under the names of rules, over ${protocol}`, async t => {
      const { ask, configure, http1, http2, scrape } = await openWorld(t, protocol);
      await configure([
        { hostname: 'app.example.test', service: `http://127.0.0.1:${http1}` },
        { hostname: '*.grpc.example.test', service: `h2c://127.0.0.1:${http2}` },
        { hostname: 'dead.example.test', service: 'http://127.0.0.1:1' },
        { service: 'http_status:404' },
      ]);
      const upload = Buffer.alloc(100_000);
      assert.equal(await ask('app.example.test', '/', upload), 200);
      assert.equal(await ask('APP.example.test'), 200);
      assert.equal(await ask('one.grpc.example.test', '/', upload), 200);
      assert.equal(await ask('dead.example.test'), 502);
      assert.equal(await ask('made-up.example.test'), 404);
      assert.equal(await ask('app.example.test', '/cut'), 200);
      const errors = (host: string) => `cloudflared_tunnel_host_request_errors_total{host="${host}"}`;
      await until('all of them', async () => {
        const figures = await scrape();
        return figures.get(requests('app.example.test', '2xx')) === 3 && figures.get(errors('app.example.test')) === 1;
      });
      const figures = await scrape();
      assert.deepEqual(Object.fromEntries([...figures].filter(([key]) => key.includes('_host_requests_total{'))), {
        [requests('app.example.test', '2xx')]: 3,
        [requests('*.grpc.example.test', '2xx')]: 1,
        [requests('dead.example.test', 'none')]: 1,
        [requests('other', '4xx')]: 1,
      });
      assert.equal(figures.get(errors('dead.example.test')), 1);
      const of = (name: string, host: string) => figures.get(`cloudflared_tunnel_host_${name}{host="${host}"}`);
      assert.equal(of('request_body_size_bytes_sum', 'app.example.test'), upload.length);
      assert.equal(of('response_body_size_bytes_sum', 'app.example.test'), 24);
      assert.equal(of('request_body_size_bytes_sum', '*.grpc.example.test'), upload.length);
      assert.equal(of('response_body_size_bytes_sum', '*.grpc.example.test'), 5);
      assert.equal(of('request_duration_seconds_count', 'app.example.test'), 3);
      assert.equal(of('header_duration_seconds_count', 'dead.example.test'), 0);
      assert.ok((of('connect_duration_seconds_count', 'app.example.test') ?? 0) >= 1);
      assert.equal(of('connect_duration_seconds_count', 'dead.example.test'), 0);
      assert.ok((figures.get('cloudflared_proxy_connect_latency_count') ?? 0) >= 2);
      assert.doesNotMatch([...figures.keys()].join('\n'), /made-up|one\.grpc|APP/);
    });
  }

  it('forget hosts whose rule is gone, and keep those that stay', async t => {
    const { ask, configure, scrape } = await openWorld(t, 'http2');
    const rule = (hostname: string) => ({ hostname, service: 'http_status:204' });
    await configure([rule('a.example.test'), rule('b.example.test'), { service: 'http_status:404' }]);
    assert.deepEqual([await ask('a.example.test'), await ask('b.example.test')], [204, 204]);
    await configure([rule('b.example.test'), { service: 'http_status:404' }]);
    assert.equal(await ask('b.example.test'), 204);
    await until('both of b', async () => (await scrape()).get(requests('b.example.test', '2xx')) === 2);
    assert.equal((await scrape()).get(requests('a.example.test', '2xx')), undefined);
  });

  it('have the names that published dashboards ask for', async t => {
    const { ask, scrape } = await openWorld(t, 'quic');
    await ask('app.example.test');
    const names = new Set([...(await scrape()).keys()].map(key => key.replace(/\{.*/, '')));
    const missing = [...byHost, ...overview].filter(name => !names.has(name));
    assert.deepEqual(missing, []);
  });
});

const host = 'cloudflared_tunnel_host';
/** "Cloudflare Tunnel Traffic by Hostname" of the Kubernetes ingress controller by STRRL (Grafana 25660). */
const byHost = [
  `${host}_requests_total`,
  `${host}_request_errors_total`,
  `${host}_request_duration_seconds_bucket`,
  `${host}_connect_duration_seconds_bucket`,
  `${host}_header_duration_seconds_bucket`,
  `${host}_response_duration_seconds_bucket`,
  `${host}_request_body_size_bytes_sum`,
  `${host}_response_body_size_bytes_sum`,
  'cloudflared_tunnel_concurrent_requests_per_tunnel',
  'cloudflared_tcp_active_sessions',
];
/** Of "Cloudflare Tunnel (cloudflared)", Grafana 24874, what is there for each program: tunnel, sessions, process. */
const overview = [
  'build_info',
  'cloudflared_tunnel_ha_connections',
  'cloudflared_tunnel_total_requests',
  'cloudflared_tunnel_request_errors',
  'cloudflared_tunnel_response_by_code',
  'cloudflared_tunnel_server_locations',
  'cloudflared_tunnel_tunnel_register_success',
  'cloudflared_orchestration_config_version',
  'cloudflared_proxy_connect_latency_bucket',
  'cloudflared_proxy_connect_streams_errors',
  'cloudflared_tcp_total_sessions',
  'cloudflared_rpc_client_operations',
  'cloudflared_rpc_client_latency_secs_bucket',
  'cloudflared_udp_active_sessions',
  'cloudflared_udp_total_sessions',
  'cloudflared_icmp_total_requests',
  'cloudflared_icmp_total_replies',
  'quic_client_smoothed_rtt',
  'quic_client_min_rtt',
  'quic_client_latest_rtt',
  'quic_client_congestion_window',
  'quic_client_sent_bytes',
  'quic_client_receive_bytes',
  'quic_client_lost_packets',
  'quic_client_mtu',
  'quic_client_total_connections',
  'quic_client_closed_connections',
  'quic_client_packet_too_big_dropped',
  'process_start_time_seconds',
  'process_cpu_seconds_total',
  'process_resident_memory_bytes',
  'process_open_fds',
  'process_max_fds',
  'process_network_receive_bytes_total',
  'process_network_transmit_bytes_total',
];
