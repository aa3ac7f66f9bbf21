// Metrics by host of a real edge, as a scraper sees them, after requests of visitors over HTTP/1.1 and HTTP/2.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { describe, it, type TestContext } from 'node:test';
import { WebSocketServer } from 'ws';
import { EdgeWorld } from '../../../test/support/edge-world.ts';
import { listen } from '../../../test/support/origin-server.ts';
import { RawVisitor } from '../../../test/support/raw-visitor.ts';
import { readMetrics } from '../../../test/support/read-metrics.ts';
import { until } from '../../../test/support/wait.ts';
import { maxHosts } from '../../telemetry/host-figures.ts';

const any = { host: '127.0.0.1', port: 0 } as const;
const app = 'app.example.test';
/** Leads to an origin that is not there. */
const dead = 'dead.example.test';

async function openWorld(t: TestContext) {
  const origin = createServer((incoming, response) => {
    if (incoming.url === '/hang') return;
    if (incoming.url === '/cut') {
      response.write('part', () => response.destroy());
      return;
    }
    incoming.resume().once('end', () => {
      response.statusCode = Number(incoming.url?.slice(1)) || 200;
      response.end('0123456789');
    });
  });
  new WebSocketServer({ server: origin }).on('connection', socket => socket.on('message', data => socket.send(data)));
  const world = await EdgeWorld.open(t, { metrics: any });
  const tunnel = await world.makeTunnel();
  const { store } = world.edge;
  const at = { tunnelId: tunnel.id, accountTag: tunnel.accountTag, createdAtMs: 0 };
  const route = (hostname: string) => store.hostnames.route({ ...at, hostname }, { overwrite: false });
  await route('*.wild.example.test');
  await route(dead);
  await world.connect(tunnel, [
    { hostname: dead, service: 'http://127.0.0.1:1' },
    { service: `http://127.0.0.1:${await listen(t, origin)}` },
  ]);
  const ask = async (host: string, path = '/', body?: Buffer): Promise<number> => {
    const call = request({
      port: world.httpPort,
      method: body ? 'POST' : 'GET',
      path,
      headers: { host },
      agent: false,
    });
    call.end(body);
    const [response] = await once(call, 'response');
    response.resume().on('error', () => undefined);
    await new Promise(resolve => response.once('close', resolve));
    return response.statusCode;
  };
  const metrics = world.edge.metrics ?? assert.fail('no metrics');
  return { world, store, tunnel, route, ask, scrape: () => readMetrics(metrics) };
}

describe('metrics of requests at the edge', () => {
  it('count by routed host and class of status, whatever the visitor writes', async t => {
    const { ask, scrape, world } = await openWorld(t);
    assert.equal(await ask(app), 200);
    assert.equal(await ask(`${app.toUpperCase()}:80`, '/404'), 404);
    assert.equal(await ask(`${app}.`, '/503'), 503);
    assert.equal(await ask('one.wild.example.test'), 200);
    assert.equal(await ask('two.wild.example.test'), 200);
    assert.equal(await ask('made-up.example.test'), 404);
    const session = connectHttp2(`http://127.0.0.1:${world.httpPort}`);
    t.after(() => session.destroy());
    const stream = session.request({ ':authority': app, ':path': '/301' });
    await once(stream.resume(), 'end');
    const name = 'postern_host_requests_total';
    await until('all requests', async () => (await scrape()).get(`${name}{host="${app}",status="3xx"}`) === 1);
    const figures = await scrape();
    const counted = [...figures].filter(([key]) => key.startsWith(name));
    assert.deepEqual(Object.fromEntries(counted), {
      [`${name}{host="${app}",status="2xx"}`]: 1,
      [`${name}{host="${app}",status="3xx"}`]: 1,
      [`${name}{host="${app}",status="4xx"}`]: 1,
      [`${name}{host="${app}",status="5xx"}`]: 1,
      [`${name}{host="*.wild.example.test",status="2xx"}`]: 2,
      [`${name}{host="other",status="4xx"}`]: 1,
    });
    // An origin's own 503 is an answer like any other.
    assert.equal(figures.get(`postern_host_request_errors_total{host="${app}"}`), 0);
    assert.doesNotMatch([...figures.keys()].join('\n'), /made-up|one\.wild|APP/);
  });

  it('tell times and sizes as histograms', async t => {
    const { ask, scrape } = await openWorld(t);
    const upload = Buffer.alloc(100_000);
    assert.equal(await ask(app, '/', upload), 200);
    assert.equal(await ask(app), 200);
    const key = (name: string, more = '') => `postern_host_${name}{host="${app}"${more}}`;
    const figures = await scrape();
    for (const name of ['request', 'connect', 'header', 'response']) {
      assert.equal(figures.get(key(`${name}_duration_seconds_count`)), 2, name);
      assert.equal(figures.get(key(`${name}_duration_seconds_bucket`, ',le="+Inf"')), 2, name);
    }
    const seconds = (name: string): number => figures.get(key(`${name}_duration_seconds_sum`)) ?? Number.NaN;
    assert.ok(seconds('connect') <= seconds('header') && seconds('header') <= seconds('request'));
    assert.ok(Math.abs(seconds('header') + seconds('response') - seconds('request')) < 0.001);
    assert.equal(figures.get(key('request_body_size_bytes_sum')), upload.length);
    assert.equal(figures.get(key('request_body_size_bytes_bucket', ',le="256"')), 1);
    assert.equal(figures.get(key('response_body_size_bytes_sum')), 20);
  });

  it('tell what could not be served from what a visitor left', async t => {
    const { ask, scrape, world } = await openWorld(t);
    const status = (text: string) => `postern_host_requests_total{host="${app}",status="${text}"}`;
    const errors = `postern_host_request_errors_total{host="${app}"}`;
    assert.equal(await ask(app, '/cut'), 200);
    await until('the answer that broke off', async () => (await scrape()).get(errors) === 1);
    const visitor = await RawVisitor.open(t, world.httpPort);
    visitor.send(`GET /hang HTTP/1.1\r\nHost: ${app}\r\n\r\n`);
    const session = connectHttp2(`http://127.0.0.1:${world.httpPort}`);
    t.after(() => session.destroy());
    const stream = session.request({ ':authority': app, ':path': '/hang' });
    stream.on('error', () => undefined);
    const carried = `postern_host_connect_duration_seconds_count{host="${app}"}`;
    await until('three requests at the connector', async () => (await scrape()).get(carried) === 3);
    visitor.socket.destroy();
    stream.close();
    await until('the visitors to be gone', async () => (await scrape()).get(status('none')) === 2);
    assert.equal(await ask(dead), 502);
    const figures = await scrape();
    assert.deepEqual([figures.get(errors), figures.get(status('2xx'))], [1, 1]);
    assert.equal(figures.get(errors.replace(app, dead)), 1);
    assert.equal(figures.get(status('5xx').replace(app, dead)), 1);
  });

  it('count an upgrade once, when it ends, and without a body', async t => {
    const { scrape, world } = await openWorld(t);
    const visitor = await RawVisitor.open(t, world.httpPort);
    const key = Buffer.alloc(16).toString('base64');
    visitor.send(
      `GET / HTTP/1.1\r\nHost: ${app}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    );
    await visitor.sees('101 Switching Protocols');
    const name = `postern_host_requests_total{host="${app}",status="1xx"}`;
    assert.equal((await scrape()).get(name), undefined);
    visitor.socket.destroy();
    await until('its end', async () => (await scrape()).get(name) === 1);
    assert.equal((await scrape()).get(`postern_host_response_body_size_bytes_sum{host="${app}"}`), 0);
  });

  it(`tell ${maxHosts} hosts apart, and forget those without a route`, async t => {
    const { ask, route, scrape, store, tunnel } = await openWorld(t);
    const hosts = Array.from({ length: maxHosts }, (_, at) => `h${at}.example.test`);
    for (const host of hosts) {
      await route(host);
      await ask(host);
    }
    const named = async () => {
      const keys = [...(await scrape()).keys()].filter(key => key.startsWith('postern_host_requests_total{'));
      return new Set(keys.map(key => /host="([^"]*)"/.exec(key)?.[1]));
    };
    assert.equal(await ask(app), 200);
    const full = await named();
    assert.ok(full.size === maxHosts + 1 && full.has('other') && !full.has(app));
    await store.tunnels.remove(tunnel.accountTag, tunnel.id, { atMs: 0, cascade: true });
    await until('the routes to be gone', async () => (await named()).size === 1);
  });
});
