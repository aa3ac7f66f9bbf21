// Private origins as members of pools, by a real connector: requests of all kinds, failures, checks, and what is not reached.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { type BalancingWorld, killServer, openBalancingWorld } from '../../../test/support/balancing-world.ts';
import { listen, listenRaw } from '../../../test/support/origin-server.ts';
import { until, within } from '../../../test/support/wait.ts';
import { parsePrefix } from '../../net/address/prefix.ts';

const host = 'lb.example.test';
const loopback = '127.0.0.1/32';

/** A world whose connector may reach loopback, by a route that names it. */
async function open(t: TestContext) {
  const world = await openBalancingWorld(t, { metrics: { host: '127.0.0.1', port: 0 } });
  const tunnel = await world.world.makeTunnel('home.example.test');
  await world.world.connect(tunnel, [{ service: 'http_status:404' }], {
    privateNetwork: { allowedDestinations: [parsePrefix(loopback) ?? assert.fail()], resolvers: [], echo: undefined },
  });
  const route = await world.client.addIpRoute({
    params: world.account,
    body: { network: loopback, tunnel_id: tunnel.id },
  });
  return { ...world, route };
}

async function balance(world: BalancingWorld, ports: readonly number[], more: object = {}) {
  const origins = ports.map((port, index) => ({ name: `m${index}`, address: '127.0.0.1', port }));
  const pool = await world.client.createPool({ params: world.account, body: { name: 'web', origins, ...more } });
  await world.addBalancer(host, [pool]);
  return pool;
}

describe('a private origin', () => {
  it('answers requests with bodies, without, and in pieces', async t => {
    const world = await open(t);
    const heads: { readonly host: string | undefined; readonly length: string | undefined }[] = [];
    const origin = createServer((incoming, response) => {
      heads.push({ host: incoming.headers.host, length: incoming.headers['content-length'] });
      if (incoming.url === '/none') response.writeHead(204).end();
      else if (incoming.method === 'HEAD') response.end();
      else {
        response.setHeader('Trailer', 'X-Sum');
        response.write(`${incoming.method} `);
        incoming.pipe(response, { end: false });
        incoming.once('end', () => {
          response.addTrailers({ 'X-Sum': '1' });
          response.end();
        });
      }
    });
    const port = await listen(t, origin);
    await balance(world, [port]);
    assert.equal((await world.visit(host)).body, 'GET ');
    assert.equal((await world.visit(host, { path: '/none' })).status, 204);
    assert.equal((await world.visit(host, { method: 'HEAD' })).body, '');
    assert.equal((await world.visit(host, { method: 'POST', body: 'hello' })).body, 'POST hello');
    assert.equal((await world.visit(host, { method: 'POST' })).body, 'POST ');
    const big = 'x'.repeat(3 << 20);
    assert.equal((await world.visit(host, { method: 'PUT', body: big })).body, `PUT ${big}`);
    const sized = await world.visit(host, { method: 'GET', body: 'odd', headers: { 'content-length': '3' } });
    assert.equal(sized.body, 'GET odd');
    assert.equal(heads[0]?.host, `127.0.0.1:${port}`);
    await until('the flows to end', () => world.world.edge.privateServices.network.tracker.active().length === 0);
  });

  it('carries a WebSocket', async t => {
    const world = await open(t);
    const origin = createServer();
    new WebSocketServer({ server: origin }).on('connection', socket => socket.on('message', data => socket.send(data)));
    await balance(world, [await listen(t, origin)]);
    const socket = new WebSocket(`ws://127.0.0.1:${world.world.httpPort}/`, { headers: { host } });
    t.after(() => socket.terminate());
    await within('the WebSocket', once(socket, 'open'));
    const echoed = once(socket, 'message');
    socket.send('hello');
    assert.equal(String((await within('the echo', echoed))[0]), 'hello');
    const closed = once(socket, 'close');
    socket.close();
    await within('the end', closed);
  });

  it('is passed over when it refuses, breaks off or talks nonsense', async t => {
    const world = await open(t);
    const [good, dead] = [await world.serve('good'), await world.serve('dead')];
    const nonsense = await listenRaw(t, socket => socket.once('data', () => socket.end('nonsense\r\n\r\n')));
    const cut = await listenRaw(t, socket => socket.once('data', () => socket.destroy()));
    killServer(dead.server);
    await balance(world, [dead.port, nonsense, cut, good.port]);
    assert.deepEqual([...(await world.spread(host, 40)).keys()], ['good']);
  });

  it('is checked by HTTP and by TCP', async t => {
    for (const type of ['http', 'tcp'] as const) {
      const world = await open(t);
      const [good, bad] = [await world.serve('good'), await world.serve('bad')];
      if (type === 'tcp') killServer(bad.server);
      bad.origin.sickStatus = 500;
      const monitor = await world.client.createMonitor({ params: world.account, body: { type, interval: 1 } });
      const pool = await balance(world, [good.port, bad.port], { monitor: monitor.id });
      const healthy = async () => {
        const { pop_health: places } = await world.client.getPoolHealth({ params: { ...world.account, id: pool.id } });
        return places.tst01?.origins.flatMap(one => Object.values(one).map(it => it.healthy));
      };
      await until('the bad one to be down', async () => (await healthy())?.[1] === false);
      assert.deepEqual(await healthy(), [true, false]);
      assert.deepEqual([...(await world.spread(host, 20)).keys()], ['good']);
    }
  });

  it('lets go of the origin when the visitor goes', async t => {
    const world = await open(t);
    let held = 0;
    const port = await listenRaw(t, socket => {
      held += 1;
      socket.once('close', () => (held -= 1)).resume();
      socket.once('end', () => socket.end());
    });
    await balance(world, [port]);
    const visitor = connect(world.world.httpPort, '127.0.0.1');
    visitor.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await until('the origin to be asked', () => held === 1);
    visitor.destroy();
    await until('the origin to be left', () => held === 0);
  });

  it('is reached by a route alone: without one nobody answers, and no request waits long', async t => {
    const world = await open(t);
    const { port } = await world.serve('good');
    await balance(world, [port]);
    assert.equal((await world.visit(host)).body, 'good');
    await world.client.deleteIpRoute({ params: { ...world.account, id: world.route.id ?? '' } });
    const { status, body } = await world.visit(host);
    assert.equal(status, 502);
    assert.match(body, /no connector connected/);
    // A wider route does not lead to the connector's own machine.
    const tunnelId = world.world.edge.registry.all()[0]?.tunnelId ?? assert.fail();
    await world.client.addIpRoute({ params: world.account, body: { network: '0.0.0.0/0', tunnel_id: tunnelId } });
    assert.equal((await world.visit(host)).status, 502);
    assert.equal(world.world.edge.privateServices.network.tracker.active().length, 0);
  });
});
