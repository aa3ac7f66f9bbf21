import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { isPosternError } from '../errors/error.ts';
import { connectorMetrics } from './connector-metrics.ts';
import { exposeMetrics } from './expose-metrics.ts';
import { type HealthServer, openHealthServer } from './health-server.ts';
import { ConnectorMetrics } from './metric-values.ts';

describe('health server', () => {
  const metrics = new ConnectorMetrics({ version: '1.2.3', runtime: 'node v26' });
  let ready = 0;
  let server: HealthServer;
  const source = {
    readyConnections: () => ready,
    connectorId: '11111111-2222-4333-8444-555555555555',
    quickTunnelHost: () => 'calm-otter.example.com',
    configuration: () => '{"version":-1,"config":{}}',
    metrics: exposeMetrics(metrics.build, connectorMetrics(metrics)),
  };
  before(async () => {
    server = await openHealthServer({ listen: { host: '127.0.0.1', port: 0 }, source });
  });
  after(() => server.close());

  async function get(path: string, headers: Record<string, string> = {}, method = 'GET') {
    const call = request({ host: server.address.host, port: server.address.port, path, headers, method, agent: false });
    call.end();
    const [response] = await once(call, 'response');
    let text = '';
    for await (const chunk of response) text += chunk;
    return { status: response.statusCode, text, type: response.headers['content-type'] };
  }

  it('is ready with one registered connection', async () => {
    assert.deepEqual(await get('/ready'), {
      status: 503,
      text: '{"status":503,"readyConnections":0,"connectorId":"11111111-2222-4333-8444-555555555555"}',
      type: 'text/plain; charset=utf-8',
    });
    ready = 4;
    const { status, text } = await get('/ready');
    assert.equal(status, 200);
    assert.equal(JSON.parse(text).readyConnections, 4);
  });

  it('answers the other paths', async () => {
    assert.equal((await get('/healthcheck')).text, 'OK\n');
    assert.equal((await get('/quicktunnel')).text, '{"hostname":"calm-otter.example.com"}');
    assert.equal((await get('/config?x=1')).text, '{"version":-1,"config":{}}');
    assert.equal((await get('/')).status, 404);
    assert.equal((await get('/ready', {}, 'POST')).status, 405);
    assert.deepEqual(await get('/healthcheck', {}, 'HEAD'), {
      status: 200,
      text: '',
      type: 'text/plain; charset=utf-8',
    });
  });

  it('exposes counters under the known names', async () => {
    metrics.requestStarted();
    metrics.requestEnded();
    metrics.responded(200);
    metrics.responded(200);
    metrics.haConnections = 4;
    metrics.setLocation(0, 'lhr01');
    metrics.registrationFailed('registration.duplicate');
    const { text, type } = await get('/metrics');
    assert.match(type ?? '', /^text\/plain; version=0\.0\.4/);
    for (const line of [
      'cloudflared_tunnel_total_requests 1',
      'cloudflared_tunnel_concurrent_requests_per_tunnel 0',
      'cloudflared_tunnel_response_by_code{status_code="200"} 2',
      'cloudflared_tunnel_ha_connections 4',
      'cloudflared_tunnel_server_locations{connection_id="0",edge_location="lhr01"} 1',
      'cloudflared_tunnel_tunnel_register_fail{error="dup_edge_conn",rpcName="registerConnection"} 1',
      'cloudflared_orchestration_config_version -1',
    ]) {
      assert.ok(text.split('\n').includes(line), `${line} in\n${text}`);
    }
    // Collecting again must not add up.
    assert.ok((await get('/metrics')).text.includes('cloudflared_tunnel_total_requests 1\n'));
  });

  it('refuses what came through a tunnel, and foreign host names', async () => {
    assert.equal((await get('/ready', { 'cf-warp-tag-id': 'x' })).status, 403);
    assert.equal((await get('/config', { 'cf-ray': 'x' })).status, 403);
    for (const host of ['rebind.example.com', '127.0.0.1:80@rebind.example.com', '127.0.0.1/rebind', 'a@b'])
      assert.equal((await get('/ready', { host })).status, 403, host);
    assert.equal((await get('/ready', { host: 'localhost:20241' })).status, 200);
    assert.equal((await get('/ready', { host: '[::1]:20241' })).status, 200);
  });

  it('says which address is taken', async () => {
    await assert.rejects(openHealthServer({ listen: server.address, source }), (error: unknown) => {
      return isPosternError(error, 'listen.failed') && error.message.includes(`127.0.0.1:${server.address.port}`);
    });
  });

  it('finds another port of the usual ones by itself', async () => {
    const [one, two] = [
      await openHealthServer({ listen: undefined, source }),
      await openHealthServer({ listen: undefined, source }),
    ];
    assert.notEqual(one.address.port, two.address.port);
    await Promise.all([one.close(), two.close()]);
  });
});
