// The DNS on-ramp: queries over UDP and TCP through a real tunnel end to a real resolver on loopback; dig as a user would.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket as TcpSocket } from 'node:net';
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { decode, encode, type Packet } from 'dns-packet';
import { addressHost } from '../../../test/support/address-host.ts';
import { PrivateWorld, type TestConnector } from '../../../test/support/private-world.ts';
import { openPortlessSender } from '../../../test/support/raw-udp.ts';
import { haveTools } from '../../../test/support/tools.ts';
import { until, within } from '../../../test/support/wait.ts';
import { readExactly } from '../../net/stream/read-exactly.ts';
import { silentLogger } from '../../telemetry/logger.ts';
import { type DnsForwarder, openDnsForwarder } from './forwarder.ts';

const run = promisify(execFile);
const resolverHost = addressHost('127.0.0.1');

/** Answers every A query with 10.1.2.3, over UDP and TCP on one port; keeps what it was asked over UDP. */
async function openResolver(t: TestContext, answer = (query: Packet): Packet[] => [resolved(query)]) {
  const asked: Packet[] = [];
  const tcp = createServer(async (socket: TcpSocket) => {
    socket.on('error', () => undefined);
    while (!socket.destroyed) {
      let message: Buffer;
      try {
        message = await readExactly(socket, (await readExactly(socket, 2)).readUInt16BE(0));
      } catch {
        // The client has what it wanted.
        return;
      }
      const reply = encode(resolved(decode(message)));
      socket.write(Buffer.concat([Buffer.from([reply.length >> 8, reply.length & 0xff]), reply]));
    }
  });
  tcp.listen(0, '127.0.0.1');
  await once(tcp, 'listening');
  const { port } = tcp.address() as AddressInfo;
  const udp = createSocket('udp4');
  udp.on('message', (message, from) => {
    const query = decode(message);
    asked.push(query);
    for (const reply of answer(query)) udp.send(encode(reply), from.port, from.address);
  });
  udp.bind(port, '127.0.0.1');
  await once(udp, 'listening');
  t.after(() => {
    udp.close();
    tcp.close();
  });
  return { port, asked };
}

function resolved(query: Packet, data = '10.1.2.3'): Packet {
  const name = query.questions?.[0]?.name ?? '';
  return { ...query, type: 'response', additionals: [], answers: [{ type: 'A', name, ttl: 60, data }] };
}

/** A TCP port where nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** The response code of the first message. */
function codeOf([packet]: readonly Packet[]): number {
  return (packet?.flags ?? 0) & 0x0f;
}

describe('DNS on-ramp', () => {
  let world: PrivateWorld;
  let connector: TestConnector;
  beforeEach(async () => {
    world = await PrivateWorld.open();
    const tunnel = await world.addTunnel('home');
    await world.addRoute('127.0.0.0/8', tunnel);
    connector = await world.connect(tunnel);
  });
  afterEach(() => world.close());
  const open = async (port: number, vnet = () => world.routes.networkOf(world.accountTag)): Promise<DnsForwarder> => {
    const resolver = { host: resolverHost, port };
    const { network } = world;
    return world.use(
      await openDnsForwarder({ host: '127.0.0.1', port: 0, network, vnet, resolver, logger: silentLogger() }),
    );
  };
  const client = (
    t: TestContext,
    port: number,
  ): { socket: Socket; got: Packet[]; ask(id: number, name: string): void } => {
    const socket = createSocket('udp4');
    t.after(() => socket.close());
    const got: Packet[] = [];
    socket.on('message', message => got.push(decode(message)));
    const ask = (id: number, name: string): void =>
      void socket.send(encode({ type: 'query', id, questions: [{ type: 'A', name }] }), port, '127.0.0.1');
    return { socket, got, ask };
  };

  it('gives every client its own answers, with ids of its own on the way', async t => {
    const resolver = await openResolver(t);
    const { port, counters } = await open(resolver.port);
    const [one, two] = [client(t, port), client(t, port)];
    // The first opens the flow; while that is under way only a first flight is held.
    one.ask(7, 'one-first.internal');
    await until('the first answer', () => one.got.length === 1);
    for (let index = 1; index < 50; index += 1) {
      one.ask(7, `one-${index}.internal`);
      two.ask(7, `two-${index}.internal`);
    }
    await until('all answers', () => one.got.length === 50 && two.got.length === 49);
    for (const [name, { got }] of Object.entries({ one, two })) {
      assert.deepEqual(new Set(got.map(packet => packet.id)), new Set([7]));
      assert.ok(got.every(packet => packet.questions?.[0]?.name.startsWith(`${name}-`)));
    }
    // Ids on the way are ours, and differ.
    assert.ok(new Set(resolver.asked.map(packet => packet.id)).size > 90);
    assert.deepEqual({ ...counters }, { queries: 99, answered: 99, failed: 0, dropped: 0 });
    // One flow for one client address, whatever its ports.
    assert.deepEqual([world.tracker.size, connector.sessions()], [1, 1]);
    const [flow] = world.tracker.active();
    assert.deepEqual([flow?.onRamp, flow?.protocol, flow?.destinationPort], ['dns', 'udp', resolver.port]);
  });

  it('takes no answer to another question, and none twice', async t => {
    const resolver = await openResolver(t, query => [
      resolved({ ...query, id: (query.id ?? 0) ^ 1 }, '6.6.6.6'),
      resolved({ ...query, questions: [{ type: 'A', name: 'other.internal' }] }, '6.6.6.6'),
      resolved(query),
      resolved(query, '6.6.6.6'),
    ]);
    const { port } = await open(resolver.port);
    const { got, ask } = client(t, port);
    ask(1, 'first.internal');
    await until('an answer', () => got.length === 1);
    ask(2, 'second.internal');
    await until('the second answer', () => got.length === 2);
    for (const packet of got)
      assert.deepEqual(
        packet.answers?.map(answer => answer.type === 'A' && answer.data),
        ['10.1.2.3'],
      );
  });

  it('answers with an error where there is no way to the resolver', async t => {
    const resolver = await openResolver(t);
    const { got, ask } = client(t, (await open(resolver.port, () => undefined)).port);
    ask(1, 'a.internal');
    await until('a refusal', () => got.length === 1);
    assert.deepEqual([codeOf(got), got[0]?.id], [5, 1]);
    connector.lose(0);
    await until('no connection', () => world.registry.all().length === 0);
    const second = client(t, (await open(resolver.port)).port);
    second.ask(2, 'b.internal');
    await until('a failure', () => second.got.length === 1);
    assert.deepEqual([codeOf(second.got), second.got[0]?.id], [2, 2]);
    const routeless = await world.addNetwork('routeless');
    const third = client(t, (await open(resolver.port, () => routeless)).port);
    third.ask(3, 'c.internal');
    await until('the last refusal', () => third.got.length === 1);
    assert.equal(codeOf(third.got), 5);
  });

  it('answers from the address that was asked, on a listener for all addresses', async t => {
    const resolver = await openResolver(t);
    let addresses = ['127.0.0.1', '127.0.0.2'];
    const forwarder = world.use(
      await openDnsForwarder({
        host: '0.0.0.0',
        port: 0,
        network: world.network,
        vnet: () => world.vnet,
        resolver: { host: resolverHost, port: resolver.port },
        logger: silentLogger(),
        addresses: () => addresses,
      }),
    );
    addresses = [];
    for (const address of ['127.0.0.1', '127.0.0.2']) {
      const socket = createSocket('udp4');
      t.after(() => socket.close());
      // A connected socket takes answers from the address it asked, and from no other, as clients of DNS do.
      socket.connect(forwarder.port, address);
      await once(socket, 'connect');
      const answer = once(socket, 'message') as Promise<[Buffer]>;
      socket.send(encode({ type: 'query', id: 9, questions: [{ type: 'A', name: 'asked.internal' }] }));
      const [message] = await within(`an answer from ${address}`, answer, 5_000);
      assert.equal(decode(message).id, 9);
    }
  });

  it('asks over TCP where the way to the resolver carries no datagrams', async t => {
    const resolver = await openResolver(t);
    connector.lose(0);
    await until('no connection', () => world.registry.all().length === 0);
    await world.connect(connector.tunnelId, { streamsOnly: true });
    const { port, counters } = await open(resolver.port);
    const { got, ask } = client(t, port);
    ask(77, 'over-tcp.internal');
    await until('an answer', () => got.length === 1);
    assert.deepEqual([got[0]?.id, got[0]?.answers?.length, resolver.asked.length], [77, 1, 0]);
    assert.deepEqual({ ...counters }, { queries: 1, answered: 1, failed: 0, dropped: 0 });
    await until('no flow is left', () => world.tracker.size === 0);
  });

  it('tells clients that the resolver does not answer', async t => {
    // Nobody reads this socket.
    const silent = createSocket('udp4');
    silent.bind(0, '127.0.0.1');
    await once(silent, 'listening');
    t.after(() => silent.close());
    const { port, counters } = await open(silent.address().port);
    const { got, ask } = client(t, port);
    ask(5, 'nobody.internal');
    await until('the failure', () => got.length === 1);
    assert.deepEqual([codeOf(got), got[0]?.id, got[0]?.questions?.[0]?.name], [2, 5, 'nobody.internal']);
    assert.equal(counters.failed, 1);
  });

  it('tells clients over TCP that nobody listens there', async t => {
    const resolver = await openResolver(t);
    const { port } = await open(await freePort());
    const refused = await world.addNetwork('without-routes');
    const { port: routeless } = await open(resolver.port, () => refused);
    for (const [at, code] of [
      [port, 2],
      [routeless, 5],
    ] as const) {
      const socket = connect(at, '127.0.0.1');
      t.after(() => socket.destroy());
      const message = encode({ type: 'query', id: 3, questions: [{ type: 'A', name: 'tcp.internal' }] });
      socket.write(Buffer.concat([Buffer.from([message.length >> 8, message.length & 0xff]), message]));
      const reply = decode(await readExactly(socket, (await readExactly(socket, 2)).readUInt16BE(0)));
      assert.deepEqual([codeOf([reply]), reply.id], [code, 3]);
    }
  });

  it('holds a burst of a new client while its flow is made', async t => {
    const resolver = await openResolver(t);
    const { port } = await open(resolver.port);
    const { got, ask } = client(t, port);
    for (let id = 0; id < 300; id += 1) ask(id, `burst-${id}.internal`);
    await until('all answers', () => got.length === 300);
    assert.ok(got.every(packet => codeOf([packet]) === 0));
  });

  it('drops what is no query and stays up', async t => {
    const resolver = await openResolver(t);
    const { port, counters } = await open(resolver.port);
    const { socket, got, ask } = client(t, port);
    for (const text of ['', 'x', 'GET / HTTP/1.1\r\n\r\n', '\0'.repeat(600)]) socket.send(text, port, '127.0.0.1');
    socket.send(encode({ type: 'response', id: 1, questions: [{ type: 'A', name: 'x' }] }), port, '127.0.0.1');
    await until('all of them', () => counters.dropped === 5);
    ask(1, 'still.internal');
    await until('an answer', () => got.length === 1);
  });

  it('drops queries from port 0, where no answer can go', async t => {
    const sendPortless = await openPortlessSender(t);
    if (sendPortless === undefined) return;
    const resolver = await openResolver(t);
    const { port, counters } = await open(resolver.port);
    sendPortless(encode({ type: 'query', id: 1, questions: [{ type: 'A', name: 'nobody.internal' }] }), port);
    await until('the drop', () => counters.dropped === 1);
    const { got, ask } = client(t, port);
    ask(2, 'somebody.internal');
    await until('an answer', () => got.length === 1);
    assert.equal(resolver.asked.length, 1);
  });

  it('carries TCP, many queries on one connection', async t => {
    const resolver = await openResolver(t);
    const { port } = await open(resolver.port);
    const socket = connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    for (const id of [1, 2]) {
      const message = encode({ type: 'query', id, questions: [{ type: 'A', name: `tcp-${id}.internal` }] });
      socket.write(Buffer.concat([Buffer.from([message.length >> 8, message.length & 0xff]), message]));
    }
    for (const id of [1, 2]) {
      const length = (await readExactly(socket, 2)).readUInt16BE(0);
      assert.equal(decode(await readExactly(socket, length)).id, id);
    }
    assert.deepEqual(connector.dialled, [`127.0.0.1:${resolver.port}`]);
  });

  it('holds few TCP clients of one address that say nothing', async t => {
    const { network } = world;
    const forwarder = world.use(
      await openDnsForwarder({
        host: '127.0.0.1',
        port: 0,
        network,
        vnet: () => world.vnet,
        logger: silentLogger(),
        resolver: { host: resolverHost, port: 53 },
        handshakeLimits: { total: 10, perAddress: 1 },
      }),
    );
    const [first, second] = [connect(forwarder.port, '127.0.0.1'), connect(forwarder.port, '127.0.0.1')];
    for (const socket of [first, second]) {
      socket.on('error', () => undefined).resume();
      t.after(() => socket.destroy());
    }
    await within('one to be cut', Promise.race([once(first, 'close'), once(second, 'close')]), 5_000);
    assert.equal([first, second].filter(socket => socket.destroyed).length, 1);
  });

  it('opens nothing for a TCP client that says nothing', async t => {
    const resolver = await openResolver(t);
    const { port } = await open(resolver.port);
    const silent = connect(port, '127.0.0.1');
    t.after(() => silent.destroy());
    await once(silent, 'connect');
    const gone = connect(port, '127.0.0.1');
    await once(gone, 'connect');
    gone.end();
    await once(gone.resume(), 'close');
    const asking = connect(port, '127.0.0.1');
    t.after(() => asking.destroy());
    const message = encode({ type: 'query', id: 1, questions: [{ type: 'A', name: 'tcp.internal' }] });
    // A byte at a time is enough to begin.
    asking.write(Buffer.from([message.length >> 8]));
    await until('the flow', () => connector.dialled.length > 0);
    asking.write(Buffer.concat([Buffer.from([message.length & 0xff]), message]));
    await readExactly(asking, 2);
    assert.deepEqual([connector.dialled.length, world.tracker.size], [1, 1]);
  });

  it('serves dig over UDP and TCP', async t => {
    if (!(await haveTools(t, 'dig'))) return;
    const resolver = await openResolver(t);
    const { port } = await open(resolver.port);
    for (const more of [[], ['+tcp']]) {
      const args = ['@127.0.0.1', '-p', `${port}`, '+short', '+tries=1', '+time=5', 'db.internal', 'A', ...more];
      assert.equal((await run('dig', args)).stdout.trim(), '10.1.2.3');
    }
    // dig announces 1232 bytes or more; what arrives is never above what the tunnel carries.
    const [opt] = resolver.asked[0]?.additionals ?? [];
    assert.ok(opt?.type === 'OPT' && opt.udpPayloadSize <= 1232);
  });
});
