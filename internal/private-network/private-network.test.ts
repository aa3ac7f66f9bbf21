// The way into private networks, against real connectors over the memory transport and real origins on loopback (which
// the tests' routes name, as they must).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test';
import { listen } from '../../test/support/origin-server.ts';
import { PrivateWorld } from '../../test/support/private-world.ts';
import { openUdpEcho } from '../../test/support/udp-echo.ts';
import { until } from '../../test/support/wait.ts';
import type { FlowEnd } from '../datagram/edge/edge-flow.ts';
import { isPosternError } from '../errors/error.ts';
import type { ErrorCode } from '../errors/table.ts';
import type { NetworkRecord } from '../store/contract/records.ts';
import { parsePrivateHost } from './routes/private-host.ts';
import type { Visitor } from './visitor.ts';

const host = (text: string) => parsePrivateHost(text) ?? assert.fail(text);
const code = (wanted: ErrorCode) => (error: unknown) => isPosternError(error, wanted) || assert.fail(String(error));

describe('private network', () => {
  let world: PrivateWorld;
  beforeEach(async () => {
    world = await PrivateWorld.open();
  });
  afterEach(() => world.close());
  const visitor = (network: NetworkRecord = world.vnet): Visitor => ({
    onRamp: 'socks',
    network,
    sourceAddress: '192.0.2.7',
    sourcePort: 1234,
  });
  const echoServer = (t: TestContext, address = '127.0.0.1') =>
    listen(
      t,
      createServer({ allowHalfOpen: true }, (socket: Socket) => socket.pipe(socket)),
      undefined,
      address,
    );
  const openTcp = (address: string, port: number, network?: NetworkRecord) =>
    world.network.openTcp(visitor(network), host(address), port, new PassThrough());
  const reasons = () => world.events.flatMap(event => (event.kind === 'started' ? [] : [event.reason]));

  it('carries TCP to the route’s tunnel, half-close included, and tells the flow’s life', async t => {
    const port = await echoServer(t);
    const tunnel = await world.addTunnel('home');
    await world.addRoute('127.0.0.0/8', tunnel);
    const connector = await world.connect(tunnel);
    const { stream, flow } = await openTcp('127.0.0.1', port);
    assert.deepEqual([connector.dialled, connector.sources], [[`127.0.0.1:${port}`], ['192.0.2.7:1234']]);
    assert.deepEqual(
      [flow.tunnelId, flow.destination, flow.destinationPort, flow.protocol, world.tracker.size],
      [tunnel, '127.0.0.1', port, 'tcp', 1],
    );
    stream.end('to the end');
    assert.equal(Buffer.concat(await stream.toArray()).toString(), 'to the end');
    await until('the end', () => world.tracker.size === 0);
    assert.deepEqual(reasons(), ['closed']);
  });

  it('keeps virtual networks and accounts apart: the same prefix leads to another connector in each', async t => {
    const port = await echoServer(t);
    const [office, other] = [await world.addNetwork('office'), await world.addAccount('other')];
    const tunnels = [
      await world.addTunnel('home'),
      await world.addTunnel('office'),
      await world.addTunnel('theirs', other.tag),
    ] as const;
    const networks = [world.vnet, office, other.vnet] as const;
    for (const [index, network] of networks.entries())
      await world.addRoute('127.0.0.0/8', tunnels[index] ?? assert.fail(), network);
    const connectors = [
      await world.connect(tunnels[0]),
      await world.connect(tunnels[1]),
      await world.connect(tunnels[2], {}, other.tag),
    ];
    for (const [index, network] of networks.entries()) {
      const { stream, flow } = await openTcp('127.0.0.1', port, network);
      assert.equal(flow.tunnelId, tunnels[index]);
      stream.destroy();
      assert.deepEqual(
        connectors.map(connector => connector.dialled.length),
        [0, 1, 2].map(at => (at <= index ? 1 : 0)),
      );
    }
    // A network of one account with the tag of another, as only a bug could make it.
    await assert.rejects(
      () => openTcp('127.0.0.1', port, { ...other.vnet, accountTag: world.accountTag }),
      code('flow.denied'),
    );
    await until('the ends', () => world.tracker.size === 0);
  });

  it('never uses a connection that registered for another account', async () => {
    const tunnel = await world.addTunnel('home');
    await world.addRoute('10.0.0.0/8', tunnel);
    const connector = await world.connect(tunnel, {}, 'another account');
    await assert.rejects(() => openTcp('10.0.0.1', 80), code('connection.lost'));
    const ends: FlowEnd[] = [];
    world.network.openUdp(visitor(), host('10.0.0.1'), 53, 1_000, {
      payload: () => undefined,
      ended: end => ends.push(end),
    });
    await until('the end', () => ends.length === 1);
    assert.deepEqual([ends[0]?.kind, connector.dialled, connector.sessions()], ['unreachable', [], 0]);
  });

  it('denies what no route leads to, and the connector’s own machine unless a route names it', async () => {
    const tunnel = await world.addTunnel('home');
    const connector = await world.connect(tunnel);
    const tcp = (address: string) => assert.rejects(() => openTcp(address, 80), code('flow.denied'));
    const udp = (address: string) =>
      assert.throws(
        () =>
          world.network.openUdp(visitor(), host(address), 53, 1_000, {
            payload: () => assert.fail(),
            ended: () => assert.fail(),
          }),
        code('flow.denied'),
      );
    const echo = (address: string) =>
      assert.rejects(() => world.network.openEcho(visitor(), host(address)), code('flow.denied'));
    for (const open of [tcp, udp, echo]) await open('10.0.0.1');
    await tcp('db.internal');
    await world.addRoute('0.0.0.0/0', tunnel);
    await world.addRoute('::/0', tunnel);
    for (const open of [tcp, udp, echo]) {
      for (const address of [
        '127.0.0.1',
        '::ffff:127.0.0.1',
        '169.254.169.254',
        '0.0.0.0',
        '::1',
        'fe80::1',
        'ff02::1',
      ])
        await open(address);
    }
    assert.deepEqual([connector.dialled, connector.sessions()], [[], 0]);
    assert.deepEqual(world.denied, { 'no-route': 4, 'special-destination': 21 });
  });

  it('sends names to the connector of their route, which resolves them', async t => {
    const port = await echoServer(t);
    const tunnel = await world.addTunnel('home');
    await world.addHostname('localhost', tunnel);
    const connector = await world.connect(tunnel);
    const { stream } = await openTcp('LOCALHOST.', port);
    assert.deepEqual(connector.dialled, [`localhost:${port}`]);
    stream.end('x');
    assert.equal(Buffer.concat(await stream.toArray()).toString(), 'x');
  });

  it('says when the connector cannot reach the destination or no connector is there', async () => {
    const tunnel = await world.addTunnel('home');
    await world.addRoute('127.0.0.0/8', tunnel);
    await world.connect(tunnel);
    const closedPort = await freePort();
    await assert.rejects(() => openTcp('127.0.0.1', closedPort), code('origin.refused'));
    const lonely = await world.addTunnel('lonely');
    await world.addRoute('10.0.0.0/8', lonely);
    await assert.rejects(() => openTcp('10.0.0.1', 80), code('connection.lost'));
    assert.deepEqual(reasons(), ['refused', 'unreachable']);
  });

  it('resets the stream when the visitor goes before the connector has answered', async () => {
    const tunnel = await world.addTunnel('home');
    await world.addRoute('10.0.0.0/8', tunnel);
    // No connector: the flow waits for one to come.
    const gone = new PassThrough();
    const opening = world.network.openTcp(visitor(), host('10.0.0.1'), 80, gone);
    await once(gone.destroy(), 'close');
    const connector = await world.connect(tunnel, { silent: true });
    await assert.rejects(opening, code('stream.aborted'));
    assert.deepEqual([connector.dialled, reasons(), world.tracker.size], [[], ['closed'], 0]);
    // With one that is still dialling.
    const late = new PassThrough();
    const dialling = world.network.openTcp(visitor(), host('10.0.0.1'), 80, late);
    await until('the dial', () => connector.dialled.length === 1);
    late.destroy();
    await assert.rejects(dialling, code('stream.aborted'));
    assert.deepEqual([reasons(), world.tracker.size], [['closed', 'closed'], 0]);
  });

  for (const version of [2, 3] as const) {
    it(`carries UDP both ways over datagram v${version} and moves it when its connection is lost`, async () => {
      const echo = await openUdpEcho();
      const tunnel = await world.addTunnel('home');
      await world.addRoute('127.0.0.1/32', tunnel);
      const connector = await world.connect(tunnel, { version, connections: 2 });
      const got: string[] = [];
      const ends: FlowEnd[] = [];
      const flow = world.network.openUdp(visitor(), host('127.0.0.1'), echo.port, 30_000, {
        payload: payload => got.push(Buffer.from(payload).toString()),
        ended: end => ends.push(end),
      });
      flow.send(Buffer.from('one'));
      await until('an echo', () => got.length === 1);
      const [first, second] = [world.network.carriesDatagrams(tunnel, world.accountTag), world.tracker.active()[0]];
      assert.deepEqual([first, second?.bytes], [true, { up: 3, down: 3 }]);
      connector.lose(0);
      await until('one connection', () => world.registry.connectionsOf(tunnel).length === 1);
      flow.send(Buffer.from('two!'));
      await until('the second echo', () => got.includes('two!'));
      flow.close();
      assert.deepEqual(ends, [{ kind: 'closed' }]);
      assert.deepEqual(reasons(), ['closed']);
      const [, ended] = world.events;
      assert.deepEqual(ended?.kind === 'ended' && ended.flow.bytes, { up: 7, down: 7 });
      await echo.close();
    });
  }

  it('hears from a v2 connector that a session ended', async () => {
    const tunnel = await world.addTunnel('home');
    await world.addRoute('127.0.0.1/32', tunnel);
    await world.connect(tunnel, { version: 2 });
    const ends: FlowEnd[] = [];
    const flow = world.network.openUdp(visitor(), host('127.0.0.1'), await freePort(), 30_000, {
      payload: () => undefined,
      ended: end => ends.push(end),
    });
    // Nobody listens there: the connector's socket hears an ICMP error, and its edge by RPC.
    flow.send(Buffer.from('x'));
    await until('the end', () => ends.length === 1);
    assert.deepEqual([ends[0]?.kind, reasons()], ['connector', ['reset']]);
  });

  it('ends UDP flows as unreachable where no connection carries datagrams', async () => {
    const tunnel = await world.addTunnel('home');
    await world.addRoute('10.0.0.0/8', tunnel);
    await world.connect(tunnel, { streamsOnly: true });
    const ends: FlowEnd[] = [];
    world.network.openUdp(visitor(), host('10.0.0.1'), 53, 1_000, {
      payload: () => undefined,
      ended: end => ends.push(end),
    });
    await until('the end', () => ends.length === 1);
    assert.deepEqual([ends[0]?.kind, reasons()], ['unreachable', ['unreachable']]);
    const echo = await world.network.openEcho(visitor(), host('10.0.0.1'));
    const probe = { ttl: 64, sequence: 1, data: new Uint8Array(8), timeoutMs: 1_000 };
    assert.deepEqual(await echo.probe(probe), { kind: 'unreachable' });
    echo.close();
  });

  it('cuts flows whose route is taken away or led elsewhere', async t => {
    const port = await echoServer(t, '0.0.0.0');
    const [home, office] = [await world.addTunnel('home'), await world.addTunnel('office')];
    const routeId = await world.addRoute('127.0.0.0/8', home);
    await world.connect(home);
    const kept = await openTcp('127.0.0.2', port);
    const { stream, flow } = await openTcp('127.0.0.1', port);
    const ends: FlowEnd[] = [];
    world.network.openUdp(visitor(), host('127.0.0.1'), port, 30_000, {
      payload: () => undefined,
      ended: end => ends.push(end),
    });
    // A longer prefix takes one address away.
    await world.addRoute('127.0.0.1/32', office);
    await until('the cut', () => stream.destroyed && ends.length === 1);
    assert.deepEqual([reasons(), kept.stream.destroyed], [['route-changed', 'route-changed'], false]);
    assert.equal(flow.tunnelId, home);
    await world.store.ipRoutes.remove(world.accountTag, routeId, Date.now());
    await until('the second cut', () => kept.stream.destroyed);
    assert.equal(world.tracker.size, 0);
  });

  it('keeps to its limits', async t => {
    const port = await echoServer(t);
    const small = await PrivateWorld.open({ limits: { total: 10, perAccount: 10, perSource: 1 } });
    try {
      const tunnel = await small.addTunnel('home');
      await small.addRoute('127.0.0.0/8', tunnel);
      await small.connect(tunnel);
      const who = { ...visitor(), network: small.vnet };
      const { stream } = await small.network.openTcp(who, host('127.0.0.1'), port, new PassThrough());
      await assert.rejects(
        () => small.network.openTcp(who, host('127.0.0.1'), port, new PassThrough()),
        code('flow.limit'),
      );
      stream.destroy();
    } finally {
      await small.close();
    }
  });
});

/** A port where nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  const address = server.address();
  await new Promise(resolve => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
