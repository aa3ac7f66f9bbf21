// Names as destinations, through real connectors' ends and a real DNS server on loopback: who is asked, what a name leads
// to, and what it does not.

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { PassThrough } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import { decode, encode } from 'dns-packet';
import { addressHost } from '../../test/support/address-host.ts';
import { openTestDns, type TestDns } from '../../test/support/dns-server.ts';
import { MemoryPlatform } from '../../test/support/echo-network.ts';
import { listen } from '../../test/support/origin-server.ts';
import { PrivateWorld } from '../../test/support/private-world.ts';
import { openUdpEcho } from '../../test/support/udp-echo.ts';
import { until } from '../../test/support/wait.ts';
import type { FlowEnd } from '../datagram/edge/edge-flow.ts';
import { isPosternError } from '../errors/error.ts';
import type { ErrorCode } from '../errors/table.ts';
import { EchoProxy } from '../icmp/echo-proxy.ts';
import { formatIp } from '../net/address/ip.ts';
import type { NetworkRecord } from '../store/contract/records.ts';
import { silentLogger } from '../telemetry/logger.ts';
import type { UdpFlow } from './flows/udp-flow.ts';
import { parsePrivateHost } from './routes/private-host.ts';
import type { Visitor } from './visitor.ts';

const host = (text: string) => parsePrivateHost(text) ?? assert.fail(text);
const code = (wanted: ErrorCode) => (error: unknown) => isPosternError(error, wanted) || assert.fail(String(error));
const probe = { ttl: 64, sequence: 1, data: new Uint8Array(8), timeoutMs: 5_000 } as const;

interface NamedWorld {
  readonly world: PrivateWorld;
  readonly dns: TestDns;
  /** Address of a name, of either family. */
  address(name: string, data: string): void;
}

/** A world whose default network has a resolver at 127.0.0.1, reached by a route through the tunnel. */
async function openWorld(t: TestContext, options: { readonly confineHostnames?: boolean } = {}): Promise<NamedWorld> {
  const records = new Map();
  const dns = await openTestDns({ records });
  const world: PrivateWorld = await PrivateWorld.open({
    ...options,
    resolverOf: ({ id }) => (id === world.vnet.id ? { host: addressHost('127.0.0.1'), port: dns.port } : undefined),
  });
  t.after(async () => {
    await world.close();
    await dns.close();
  });
  return {
    world,
    dns,
    address: (name, data) => {
      const type = data.includes(':') ? 'AAAA' : 'A';
      records.set(`${type} ${name}`, [{ type, name, ttl: 60, data }]);
    },
  };
}

function visitorOf(network: NetworkRecord): Visitor {
  return { onRamp: 'socks', network, sourceAddress: '192.0.2.7', sourcePort: 1234 };
}

function openUdp(world: PrivateWorld, name: string, port: number, network = world.vnet) {
  const got: string[] = [];
  const ends: FlowEnd[] = [];
  const flow: UdpFlow = world.network.openUdp(visitorOf(network), host(name), port, 30_000, {
    payload: payload => got.push(Buffer.from(payload).toString()),
    ended: end => ends.push(end),
  });
  return { flow, got, ends };
}

describe('names as destinations', () => {
  it('are looked up with the network’s resolver, through the tunnel, for UDP, TCP and echo requests', async t => {
    const { world, dns, address } = await openWorld(t);
    const network = new MemoryPlatform();
    const packets = world.use(
      new EchoProxy({
        platforms: { 4: network, 6: network },
        sources: { 4: Uint8Array.of(192, 168, 7, 1), 6: new Uint8Array(16) },
        allowDestination: () => true,
        log: silentLogger(),
      }),
    );
    const tunnel = await world.addTunnel('home');
    await world.addRoute('127.0.0.0/8', tunnel);
    const connector = await world.connect(tunnel, { packets });
    address('db.internal', '127.0.0.1');
    const echo = await openUdpEcho();
    t.after(() => echo.close());

    const { flow, got } = openUdp(world, 'DB.internal.', echo.port);
    assert.equal(flow.address, undefined);
    assert.ok(flow.send(Buffer.from('first')) && flow.send(Buffer.from('second')));
    await until('the echoes', () => got.length === 2);
    assert.deepEqual([got, flow.address && formatIp(flow.address)], [['first', 'second'], '127.0.0.1']);
    const shown = world.tracker.active().map(one => `${one.onRamp} ${one.protocol} ${one.destination}`);
    assert.deepEqual(shown, ['names udp 127.0.0.1', 'socks udp 127.0.0.1']);
    flow.close();

    const port = await listen(
      t,
      createServer({ allowHalfOpen: true }, socket => socket.pipe(socket)),
    );
    const { stream } = await world.network.openTcp(visitorOf(world.vnet), host('db.internal'), port, new PassThrough());
    stream.end('by name');
    assert.equal(Buffer.concat(await stream.toArray()).toString(), 'by name');
    assert.deepEqual(connector.dialled, [`127.0.0.1:${port}`]);

    const session = await world.network.openEcho(visitorOf(world.vnet), host('db.internal'));
    assert.equal((await session.probe(probe)).kind, 'reply');
    session.close();
    // All but the first were served from the cache.
    assert.deepEqual(dns.seen.sort(), ['udp A db.internal', 'udp AAAA db.internal']);
  });

  it('with a route of their own are looked up by the connector of that route', async t => {
    const { world, dns, address } = await openWorld(t);
    const network = new MemoryPlatform();
    const packets = world.use(
      new EchoProxy({
        platforms: { 4: network, 6: network },
        sources: { 4: Uint8Array.of(192, 168, 7, 1), 6: new Uint8Array(16) },
        allowDestination: () => true,
        log: silentLogger(),
      }),
    );
    const tunnel = await world.addTunnel('home');
    const resolvers = [{ address: Uint8Array.of(127, 0, 0, 1), port: dns.port }];
    const connector = await world.connect(tunnel, { packets, resolvers });
    await world.addHostname('*.internal', tunnel);
    address('db.internal', '10.1.0.2');
    address('self.internal', '127.0.0.1');
    const echo = await openUdpEcho();
    t.after(() => echo.close());

    // No address of the network has a route.
    const session = await world.network.openEcho(visitorOf(world.vnet), host('db.internal'));
    assert.equal((await session.probe(probe)).kind, 'reply');
    assert.equal(session.flow.destination, 'db.internal');
    assert.ok(connector.environment.flows.taken > 0);

    // The connector's own machine needs a route that names it, to the same connector.
    const refused = openUdp(world, 'self.internal', echo.port);
    await until('the refusal', () => refused.ends.length === 1);
    await world.addRoute('127.0.0.0/8', await world.addTunnel('other'));
    const astray = openUdp(world, 'self.internal', echo.port);
    astray.flow.send(Buffer.from('x'));
    await until('the other tunnel’s silence', () => astray.ends.length === 1);
    assert.deepEqual(
      [refused.ends[0]?.kind, astray.ends[0]?.kind, echo.received.length],
      ['refused', 'unreachable', 0],
    );
    // What a change of routes ends is neither the look-ups' flow nor the session.
    await until('the recheck', () => world.tracker.size === 2);
    assert.deepEqual(
      world.tracker.active().map(one => one.onRamp),
      ['names', 'socks'],
    );
    session.close();
  });

  it('lead, when confined, only where a route of their address leads through the same tunnel', async t => {
    const { world, dns, address } = await openWorld(t, { confineHostnames: true });
    const tunnel = await world.addTunnel('home');
    const resolvers = [{ address: Uint8Array.of(127, 0, 0, 1), port: dns.port }];
    const connector = await world.connect(tunnel, { resolvers });
    await world.addHostname('*.internal', tunnel);
    address('db.internal', '127.0.0.1');
    address('astray.internal', '10.9.0.1');
    address('other.internal', '10.8.0.1');
    const port = await listen(
      t,
      createServer(socket => socket.end('here')),
    );
    const tcp = (name: string) => world.network.openTcp(visitorOf(world.vnet), host(name), port, new PassThrough());
    await assert.rejects(() => tcp('db.internal'), code('flow.denied'));
    await world.addRoute('127.0.0.0/8', tunnel);
    await world.addRoute('10.8.0.0/16', await world.addTunnel('other'));
    const { stream } = await tcp('db.internal');
    assert.equal(Buffer.concat(await stream.toArray()).toString(), 'here');
    stream.end();
    assert.deepEqual(connector.dialled, [`127.0.0.1:${port}`]);
    for (const name of ['astray.internal', 'other.internal']) {
      await assert.rejects(() => tcp(name), /which no IP route leads to through the tunnel of the name/);
      await assert.rejects(() => world.network.openEcho(visitorOf(world.vnet), host(name)), code('flow.denied'));
      const refused = openUdp(world, name, port);
      await until('the refusal', () => refused.ends.length === 1);
    }
    assert.equal(connector.dialled.length, 1);
  });

  it('are looked up over TCP where the tunnel carries no datagrams', async t => {
    const { world, dns, address } = await openWorld(t);
    const tunnel = await world.addTunnel('home');
    await world.addRoute('127.0.0.0/8', tunnel);
    const connector = await world.connect(tunnel, { streamsOnly: true });
    address('db.internal', '127.0.0.1');
    const port = await listen(
      t,
      createServer(socket => socket.end('here')),
    );
    const tcp = (name: string) => world.network.openTcp(visitorOf(world.vnet), host(name), port, new PassThrough());
    const { stream } = await tcp('db.internal');
    assert.equal(Buffer.concat(await stream.toArray()).toString(), 'here');
    stream.end();
    assert.deepEqual(connector.dialled, [`127.0.0.1:${dns.port}`, `127.0.0.1:${dns.port}`, `127.0.0.1:${port}`]);
    await assert.rejects(() => tcp('none.internal'), /knows no address of none\.internal/);
    await until('the flows’ ends', () => world.tracker.size === 0);
  });

  it('are not used when their route changes meanwhile', async t => {
    const world = await PrivateWorld.open();
    const held: (() => void)[] = [];
    const resolver = createSocket('udp4');
    resolver.on('message', (message, from) => {
      const query = decode(message);
      const [question] = query.questions ?? [];
      const answers =
        question?.type === 'A' ? [{ type: 'A', name: question.name, ttl: 1, data: '10.1.0.2' } as const] : [];
      held.push(() => resolver.send(encode({ ...query, type: 'response', answers }), from.port, from.address));
    });
    resolver.bind(0, '127.0.0.1');
    await once(resolver, 'listening');
    t.after(async () => {
      await world.close();
      resolver.close();
    });
    const tunnel = await world.addTunnel('home');
    const { port } = resolver.address();
    await world.connect(tunnel, { resolvers: [{ address: Uint8Array.of(127, 0, 0, 1), port }] });
    await world.addHostname('*.internal', tunnel);
    const opening = world.network.openEcho(visitorOf(world.vnet), host('db.internal'));
    const refused = assert.rejects(opening, /route of db\.internal was changed while it was resolved/);
    await until('both questions', () => held.length === 2);
    await world.addHostname('db.internal', await world.addTunnel('other'));
    for (const answer of held) answer();
    await refused;
  });

  it('lead nowhere outside the routes of their own network, and say why', async t => {
    const { world, address } = await openWorld(t);
    const office = await world.addNetwork('office');
    const tunnel = await world.addTunnel('home');
    await world.addRoute('127.0.0.0/8', tunnel);
    const there = await world.addTunnel('there');
    await world.addRoute('10.0.0.0/8', there, office);
    await world.connect(tunnel);
    const connector = await world.connect(there);
    address('far.internal', '10.1.0.2');
    const tcp = (name: string, network?: NetworkRecord) =>
      world.network.openTcp(visitorOf(network ?? world.vnet), host(name), 80, new PassThrough());
    await assert.rejects(() => tcp('far.internal'), /No route of the virtual network default leads to 10\.1\.0\.2/);
    await assert.rejects(
      () => tcp('none.internal'),
      /resolver of the virtual network default knows no address of none/,
    );
    await assert.rejects(
      () => tcp('far.internal', office),
      /office leads to far\.internal, and the network has no resolver/,
    );
    assert.throws(() => openUdp(world, 'far.internal', 53, office), code('flow.denied'));
    await assert.rejects(() => world.network.openEcho(visitorOf(office), host('far.internal')), code('flow.denied'));
    const { ends, flow } = openUdp(world, 'far.internal', 53);
    flow.send(Buffer.from('x'));
    await until('the refusal', () => ends.length === 1);
    assert.equal(ends[0]?.kind, 'refused');
    const foreign = { ...office, accountTag: 'somebody else' };
    await assert.rejects(() => tcp('far.internal', foreign), code('flow.denied'));
    assert.deepEqual([connector.dialled, connector.sessions()], [[], 0]);
    assert.deepEqual(world.denied, { 'no-route': 6, unresolved: 1 });
  });

  it('are forgotten by flows that are closed meanwhile, which hold a first flight only', async t => {
    const { world, address } = await openWorld(t);
    const tunnel = await world.addTunnel('home');
    await world.addRoute('127.0.0.0/8', tunnel);
    await world.connect(tunnel);
    address('db.internal', '127.0.0.1');
    const { flow, ends } = openUdp(world, 'db.internal', 9);
    const sent = Array.from({ length: 20 }, () => flow.send(new Uint8Array(10)));
    assert.equal(sent.filter(taken => taken).length, 16);
    assert.equal(openUdp(world, 'db.internal', 9).flow.send(new Uint8Array(1_281)), false);
    flow.close();
    flow.close();
    assert.deepEqual(ends, [{ kind: 'closed' }]);
    await until('the look-up', () => world.network.names.pending === 0);
    assert.ok(!world.tracker.active().some(one => one.bytes.up === 160));
  });
});
