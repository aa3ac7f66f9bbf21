// The connectors' side of a real edge: who is let in, who takes whose place, and what hostile peers may hold.

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { claimFor, dialBare, registerBare } from '../../test/support/bare-connector.ts';
import { EdgeWorld } from '../../test/support/edge-world.ts';
import { createTestCa } from '../../test/support/test-ca.ts';
import { until, within } from '../../test/support/wait.ts';
import { isPosternError, PosternError } from '../errors/error.ts';
import { dialHttp2 } from '../transport/http2/dial.ts';
import { listenHttp2 } from '../transport/http2/listen.ts';
import type { ConnectorConnection } from '../transport/transport.ts';
import type { RegistrationRequest } from '../wire/rpc/registration.ts';

const over = new PosternError('connection.closed', 'The test is over.');

function codeOf(attempt: Promise<unknown>): Promise<unknown> {
  return attempt.then(
    () => 'accepted',
    (error: unknown) => (isPosternError(error) ? error.code : error),
  );
}

async function untilClosed(connection: ConnectorConnection): Promise<void> {
  await within('the edge to close the connection', connection.closed, 5_000);
}

describe('the registration of a connector', () => {
  it('is refused for wrong secrets, accounts and unknown tunnels, and the connection ended', async t => {
    const world = await EdgeWorld.open(t);
    const tunnel = await world.makeTunnel();
    const wrong: Partial<RegistrationRequest>[] = [
      { tunnelSecret: randomBytes(32) },
      { tunnelSecret: new Uint8Array() },
      { tunnelSecret: randomBytes(100_000) },
      { accountTag: 'f'.repeat(32) },
      { tunnelId: randomUUID() },
    ];
    for (const changes of wrong) {
      const { connection, client } = await dialBare(t, world);
      assert.equal(await codeOf(client.registerConnection(claimFor(tunnel, changes))), 'credentials.refused');
      await untilClosed(connection);
    }
    assert.equal(world.edge.registry.all().length, 0);
    const text = JSON.stringify(world.lines);
    assert.ok(!text.includes(tunnel.secret.toString('base64')) && !text.includes(tunnel.secret.toString('hex')));
  });

  it('of a connection that lives already is a duplicate, unless it replaces it', async t => {
    const world = await EdgeWorld.open(t);
    const tunnel = await world.makeTunnel();
    const request = claimFor(tunnel);
    const first = await dialBare(t, world);
    await first.client.registerConnection(request);
    const second = await dialBare(t, world);
    assert.equal(await codeOf(second.client.registerConnection(request)), 'registration.duplicate');
    await untilClosed(second.connection);
    const [before] = world.edge.registry.all();
    const third = await dialBare(t, world);
    await third.client.registerConnection({ ...request, replaceExisting: true });
    await untilClosed(first.connection);
    const [after, ...others] = world.edge.registry.all();
    assert.ok(after !== undefined && after.id !== before?.id && others.length === 0);
  });

  it('comes at the same moment twice, and one is accepted', async t => {
    const world = await EdgeWorld.open(t);
    const tunnel = await world.makeTunnel();
    const request = claimFor(tunnel);
    const dialled = await Promise.all([dialBare(t, world), dialBare(t, world), dialBare(t, world)]);
    const results = await Promise.all(dialled.map(one => codeOf(one.client.registerConnection(request))));
    assert.deepEqual(results.toSorted(), ['accepted', 'registration.duplicate', 'registration.duplicate']);
    assert.equal(world.edge.registry.all().length, 1);
  });

  it('of a connector that vanishes meanwhile leaves nothing behind', async t => {
    const world = await EdgeWorld.open(t);
    const tunnel = await world.makeTunnel();
    for (let round = 0; round < 10; round += 1) {
      const { connection, client } = await dialBare(t, world);
      const attempt = codeOf(client.registerConnection(claimFor(tunnel)));
      setImmediate(() => connection.abort(over));
      await attempt;
    }
    await until('an empty registry', () => world.edge.registry.all().length === 0);
  });

  it('gives a replaced connection as long as the edge gives running requests', async t => {
    const world = await EdgeWorld.open(t, { gracePeriodMs: 300 });
    const tunnel = await world.makeTunnel();
    const request = claimFor(tunnel);
    const asked = Promise.withResolvers<void>();
    // The origin never answers.
    const first = await dialBare(t, world, () => asked.resolve());
    await first.client.registerConnection(request);
    const visitor = connectTcp(world.httpPort, '127.0.0.1').on('error', () => undefined);
    t.after(() => visitor.destroy());
    visitor.resume().write(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`);
    await asked.promise;
    const second = await dialBare(t, world);
    await second.client.registerConnection({ ...request, replaceExisting: true });
    await untilClosed(first.connection);
  });

  it('keeps no more of what a connector says of itself than is of use', async t => {
    const world = await EdgeWorld.open(t);
    const tunnel = await world.makeTunnel();
    const { client } = await dialBare(t, world);
    const long = 'x'.repeat(50_000);
    const features = ['support_datagram_v3_2', `${long}a`, `${long}b`];
    await client.registerConnection(claimFor(tunnel, { version: long, arch: long, features }));
    const [one] = world.edge.registry.all();
    assert.deepEqual(one?.features, ['support_datagram_v3_2']);
    assert.equal(one.datagramVersion, 3);
    assert.ok(one.version.length <= 128 && one.arch.length <= 128);
    assert.ok(Math.max(...world.lines.map(line => JSON.stringify(line).length)) < 1_000);
  });

  it('is refused for later when the tunnel has as many connections as it may have', async t => {
    const world = await EdgeWorld.open(t, { maxConnectionsPerTunnel: 2 });
    const tunnel = await world.makeTunnel();
    const registered = [await registerBare(t, world, tunnel), await registerBare(t, world, tunnel)];
    const third = await dialBare(t, world);
    assert.equal(await codeOf(third.client.registerConnection(claimFor(tunnel))), 'registration.refused');
    await untilClosed(third.connection);
    // Other tunnels are not affected.
    await registerBare(t, world, await world.makeTunnel('other.example.test'));
    registered[0]?.connection.abort(over);
    await until('a free place', () => world.edge.registry.all().length === 2);
    await registerBare(t, world, tunnel);
  });

  it('ends with its tunnel', async t => {
    const world = await EdgeWorld.open(t);
    const tunnel = await world.makeTunnel();
    const { connection, client } = await dialBare(t, world);
    await client.registerConnection(claimFor(tunnel));
    await world.edge.store.tunnels.remove(tunnel.accountTag, tunnel.id, { atMs: Date.now(), cascade: true });
    await untilClosed(connection);
    await until('an empty registry', () => world.edge.registry.all().length === 0);
  });
});

describe('a peer on the connectors’ port', () => {
  it('that is not a connector is cut off', { timeout: 60_000 }, async t => {
    const ca = await createTestCa();
    const certificate = await ca.issue(['h2.cftunnel.com']);
    const listener = await listenHttp2({
      host: '127.0.0.1',
      port: 0,
      ...certificate,
      handshakeTimeoutMs: 300,
      onConnection: connection => connection.abort(over),
    });
    t.after(() => listener.close());
    const { port } = listener.address;
    const tls = async (): Promise<TLSSocket> => {
      const socket = connectTls({ port, host: '127.0.0.1', ca: ca.cert, servername: 'h2.cftunnel.com' });
      socket.on('error', () => undefined).resume();
      await once(socket, 'secureConnect');
      return socket;
    };
    const silent = connectTcp(port, '127.0.0.1')
      .on('error', () => undefined)
      .resume();
    const settingsless = await tls();
    const garbage = await tls();
    garbage.write(randomBytes(4_096));
    const plain = connectTcp(port, '127.0.0.1')
      .on('error', () => undefined)
      .resume();
    plain.write('GET / HTTP/1.1\r\n\r\n');
    const oversized = await tls();
    // A SETTINGS frame that announces 16 MiB.
    oversized.write(Buffer.from([0xff, 0xff, 0xff, 4, 0, 0, 0, 0, 0]));
    const sockets: Socket[] = [silent, settingsless, garbage, plain, oversized];
    await until('the end of all five', () => sockets.every(socket => socket.closed || socket.readableEnded));
    for (const socket of sockets) socket.destroy();
  });

  it('finds a place only while few others from its address are unknown', async t => {
    const ca = await createTestCa();
    const accepted: unknown[] = [];
    const listener = await listenHttp2({
      host: '127.0.0.1',
      port: 0,
      ...(await ca.issue(['h2.cftunnel.com'])),
      handshakes: { total: 10, perAddress: 2 },
      onConnection: connection => {
        accepted.push(connection);
        connection.abort(over);
      },
    });
    t.after(() => listener.close());
    const { port } = listener.address;
    const open = (): Socket => {
      const socket = connectTcp(port, '127.0.0.1')
        .on('error', () => undefined)
        .resume();
      t.after(() => socket.destroy());
      return socket;
    };
    const held = [open(), open()];
    await Promise.all(held.map(socket => once(socket, 'connect')));
    const third = open();
    await until('the end of the third', () => third.closed);
    assert.ok(held.every(socket => !socket.closed));
    for (const socket of held) socket.destroy();
    const connectorOptions = {
      host: '127.0.0.1',
      port,
      ca: [ca.cert],
      serverName: 'h2.cftunnel.com',
      timeoutMs: 5_000,
    };
    await until('a place for a connector', async () => {
      const connection = await dialHttp2(connectorOptions).catch(() => undefined);
      if (connection !== undefined) await connection.closed;
      return accepted.length > 0;
    });
  });

  it('that sends an RPC message too large loses its connection, and the others live', async t => {
    const world = await EdgeWorld.open(t);
    const tunnel = await world.makeTunnel();
    const good = await dialBare(t, world);
    await good.client.registerConnection(claimFor(tunnel));
    const bad = await dialBare(t, world);
    // One segment of 2^30 words.
    bad.control.write(Buffer.from([0, 0, 0, 0, 0, 0, 0, 0x40]));
    await untilClosed(bad.connection);
    const many = await dialBare(t, world);
    many.control.write(randomBytes(100_000));
    await untilClosed(many.connection);
    assert.equal(world.edge.registry.all().length, 1);
  });

  it('floods with connections and gets a bounded number', { timeout: 60_000 }, async t => {
    const world = await EdgeWorld.open(t, { unregistered: { total: 8, perAddress: 4 } });
    const tunnel = await world.makeTunnel();
    const dialled = await Promise.all(
      Array.from({ length: 12 }, () =>
        dialBare(t, world).then(
          one => one.connection,
          () => undefined,
        ),
      ),
    );
    let open = 0;
    for (const connection of dialled) {
      if (connection === undefined) continue;
      open += 1;
      void connection.closed.then(() => {
        open -= 1;
      });
    }
    await until('four left', () => open === 4);
    for (const connection of dialled) connection?.abort(over);
    await until('a registration', async () => {
      const one = await dialBare(t, world).catch(() => undefined);
      return one !== undefined && (await codeOf(one.client.registerConnection(claimFor(tunnel)))) === 'accepted';
    });
  });
});
