// The SOCKS5 on-ramp with real sockets: our own client for the protocol's corners, curl as a user would.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { openTestDns } from '../../../test/support/dns-server.ts';
import { listen } from '../../../test/support/origin-server.ts';
import type { TestConnector } from '../../../test/support/private-world.ts';
import { PrivateWorld } from '../../../test/support/private-world.ts';
import { openPortlessSender } from '../../../test/support/raw-udp.ts';
import { openUdpEcho } from '../../../test/support/udp-echo.ts';
import { until, within } from '../../../test/support/wait.ts';
import { encodeUdpHeader } from '../../net/socks/codec.ts';
import { readExactly } from '../../net/stream/read-exactly.ts';
import type { Resolver } from '../../private-network/dns/upstream.ts';
import { silentLogger } from '../../telemetry/logger.ts';
import { openSocksServer, type SocksServer } from './server.ts';

const run = promisify(execFile);

describe('SOCKS on-ramp', () => {
  let world: PrivateWorld;
  let connector: TestConnector;
  let resolver: Resolver | undefined;
  let server: SocksServer | undefined;
  beforeEach(async () => {
    resolver = undefined;
    world = await PrivateWorld.open({ resolverOf: () => resolver });
    const tunnel = await world.addTunnel('home');
    await world.addRoute('127.0.0.0/8', tunnel);
    connector = await world.connect(tunnel);
  });
  afterEach(() => world.close());
  const open = async (options: { open?: boolean } = {}): Promise<number> => {
    const { network } = world;
    const admission = world.admission(options);
    server = await openSocksServer({ host: '127.0.0.1', port: 0, network, admission, logger: silentLogger() });
    return world.use(server).port;
  };
  const dial = async (t: TestContext, port: number): Promise<Socket> => {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    socket.on('error', () => undefined);
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    return socket;
  };
  /** Sends everything a client with credentials says up to the request, at once. */
  const hello = (user: string, password: string): Buffer =>
    Buffer.concat([
      Buffer.from([5, 1, 2, 1, user.length]),
      Buffer.from(user),
      Buffer.from([password.length]),
      Buffer.from(password),
    ]);
  const request = (command: number, port: number, address = [127, 0, 0, 1]): Buffer =>
    Buffer.from([5, command, 0, 1, ...address, port >> 8, port & 0xff]);
  const echoServer = (t: TestContext) =>
    listen(
      t,
      createServer({ allowHalfOpen: true }, socket => socket.pipe(socket)),
    );

  it('connects with a network name and a token, and keeps half-closed streams', async t => {
    const origin = await echoServer(t);
    const socket = await dial(t, await open());
    // Early data right behind the request belongs to the flow.
    socket.end(Buffer.concat([hello('default', world.token), request(1, origin), Buffer.from('early')]));
    assert.deepEqual([...(await readExactly(socket, 4))], [5, 2, 1, 0]);
    assert.equal((await readExactly(socket, 10))[1], 0);
    assert.equal(Buffer.concat(await socket.toArray()).toString(), 'early');
    await until('the end', () => world.tracker.size === 0);
    const [started, ended] = world.events;
    assert.deepEqual([started?.kind, ended?.kind, connector.dialled], ['started', 'ended', [`127.0.0.1:${origin}`]]);
    assert.ok(ended?.kind === 'ended');
    assert.deepEqual(
      [ended.flow.bytes, ended.reason, ended.flow.onRamp, ended.flow.sourceAddress],
      [{ up: 5, down: 5 }, 'closed', 'socks', '127.0.0.1'],
    );
  });

  it('admits by network, account and token only', async t => {
    const port = await open();
    const other = await world.addAccount('other');
    await world.addNetwork('office+1');
    const verdict = async (user: string, password: string): Promise<number> => {
      const socket = await dial(t, port);
      socket.write(hello(user, password));
      const [, , , status] = (await readExactly(socket, 4)) as unknown as [number, number, number, number];
      socket.destroy();
      return status;
    };
    const token = world.token;
    for (const user of [
      'default',
      '',
      'default+local',
      `default+${world.accountTag}`,
      'office+1',
      'office+1+local',
      world.vnet.id,
    ])
      assert.equal(await verdict(user, token), 0, user);
    assert.equal(await verdict('default', other.token), 0);
    const refused = [
      ['default', ''],
      ['default', 'wrong'],
      ['default', `${token}x`],
    ] as const;
    for (const [user, password] of refused) assert.equal(await verdict(user, password), 1, user);
    // The token is right, so its holder may know that the user name is not.
    const elsewhere = [
      ['unknown', token],
      ['default+other', token],
      ['default+local', other.token],
      ['office+1', other.token],
      [world.vnet.id, other.token],
      [`default+${world.accountTag}`, other.token],
    ] as const;
    for (const [user, password] of elsewhere) assert.equal(await verdict(user, password), 2, user);
  });

  it('refuses clients without credentials, unless it is open', async t => {
    const closed = await dial(t, await open());
    closed.write(Buffer.from([5, 1, 0]));
    assert.deepEqual([...(await readExactly(closed, 2))], [5, 0xff]);
    await once(closed.resume(), 'end');
    const origin = await echoServer(t);
    const free = await dial(t, await open({ open: true }));
    free.write(Buffer.concat([Buffer.from([5, 1, 0]), request(1, origin), Buffer.from('hi')]));
    assert.deepEqual([...(await readExactly(free, 2))], [5, 0]);
    assert.equal((await readExactly(free, 10))[1], 0);
    assert.equal((await readExactly(free, 2)).toString(), 'hi');
  });

  it('refuses whoever guesses and still admits the right token', async t => {
    const port = await open();
    const { network } = world;
    let refused = 0;
    for (let attempt = 0; attempt < 25; attempt += 1) {
      const socket = await dial(t, port);
      socket.write(hello('default', `guess ${attempt}`));
      if ((await readExactly(socket, 4))[3] === 1) refused += 1;
      socket.destroy();
    }
    // Who holds it is no guesser, whoever shares the address.
    const socket = await dial(t, port);
    socket.write(hello('default', world.token));
    assert.deepEqual([refused, (await readExactly(socket, 4))[3], network.tracker.size], [25, 0, 0]);
  });

  it('says why it does not connect', async t => {
    const port = await open();
    const replyTo = async (message: Buffer): Promise<number | undefined> => {
      const socket = await dial(t, port);
      socket.write(Buffer.concat([hello('default', world.token), message]));
      await readExactly(socket, 4);
      const answer = await readExactly(socket, 10);
      socket.resume();
      // The server ends the connection after a refusal.
      await once(socket, 'end');
      return answer[1];
    };
    assert.equal(await replyTo(request(1, 80, [10, 0, 0, 1])), 2);
    assert.equal(await replyTo(request(2, 80)), 7);
    assert.equal(await replyTo(Buffer.from([5, 1, 0, 9])), 8);
    assert.equal(await replyTo(request(1, 0)), 4);
    const gone = createServer();
    const closedPort = await listen(t, gone);
    await new Promise(resolve => gone.close(resolve));
    assert.equal(await replyTo(request(1, closedPort)), 5);
    await world.addRoute('10.9.0.0/16', await world.addTunnel('lonely'));
    assert.equal(await replyTo(request(1, 80, [10, 9, 0, 1])), 3);
  });

  it('cuts clients that break the protocol', async t => {
    const port = await open();
    for (const bytes of ['GET / HTTP/1.1\r\n\r\n', '\x04\x01', '\x05\x01\x02\x05\x00']) {
      const socket = await dial(t, port);
      socket.write(Buffer.from(bytes, 'latin1'));
      socket.resume();
      await Promise.race([once(socket, 'end'), once(socket, 'close')]);
    }
    assert.equal(world.tracker.size, 0);
  });

  it('carries UDP through an association, for the client that asked and as long as its connection lives', async t => {
    const echo = await openUdpEcho();
    const second = await openUdpEcho();
    const socket = await dial(t, await open());
    socket.write(Buffer.concat([hello('default', world.token), request(3, 0, [0, 0, 0, 0])]));
    await readExactly(socket, 4);
    const answer = await readExactly(socket, 10);
    assert.deepEqual([answer[1], [...answer.subarray(4, 8)]], [0, [127, 0, 0, 1]]);
    const relay = answer.readUInt16BE(8);
    const client = createSocket('udp4');
    const got: Buffer[] = [];
    client.on('message', message => got.push(message));
    const send = (header: Uint8Array, text: string): void =>
      void client.send(Buffer.concat([header, Buffer.from(text)]), relay, '127.0.0.1');
    const loopback = Uint8Array.of(127, 0, 0, 1);
    const [toEcho, toSecond] = [encodeUdpHeader(loopback, echo.port), encodeUdpHeader(loopback, second.port)];
    send(toEcho, 'one');
    await until('an echo', () => got.length === 1);
    assert.deepEqual(got[0], Buffer.concat([toEcho, Buffer.from('one')]));
    // Dropped: no header, a fragment, a destination without route, another client.
    client.send('x', relay, '127.0.0.1');
    client.send(Buffer.concat([Buffer.from([0, 0, 1, 1, 127, 0, 0, 1, 0, 53]), Buffer.from('x')]), relay, '127.0.0.1');
    for (let again = 0; again < 10; again += 1) send(encodeUdpHeader(Uint8Array.of(10, 0, 0, 1), 53), 'x');
    const stranger = createSocket('udp4');
    stranger.send(Buffer.concat([toEcho, Buffer.from('spoofed')]), relay, '127.0.0.1');
    send(toSecond, 'two');
    send(toEcho, '');
    await until('more echoes', () => got.length === 3);
    assert.deepEqual(
      got.slice(1).sort((a, b) => b.length - a.length),
      [Buffer.concat([toSecond, Buffer.from('two')]), toEcho],
    );
    assert.ok(!echo.received.some(payload => Buffer.from(payload).includes('spoofed')));
    assert.deepEqual([world.tracker.size, connector.sessions()], [2, 2]);
    // A destination without route is tried once a second, not for every datagram.
    assert.equal(world.denied['no-route'], 1);
    socket.destroy();
    await until('the flows’ ends', () => world.tracker.size === 0);
    client.close();
    stranger.close();
    await Promise.all([echo.close(), second.close()]);
  });

  it('carries UDP to names, and answers from their addresses', async t => {
    const dns = await openTestDns({
      records: new Map([['A db.internal', [{ type: 'A', name: 'db.internal', ttl: 60, data: '127.0.0.1' }]]]),
    });
    resolver = { host: { kind: 'address', address: Uint8Array.of(127, 0, 0, 1) }, port: dns.port };
    const echo = await openUdpEcho();
    const socket = await dial(t, await open());
    socket.write(Buffer.concat([hello('default', world.token), request(3, 0, [0, 0, 0, 0])]));
    await readExactly(socket, 4);
    const relay = (await readExactly(socket, 10)).readUInt16BE(8);
    const client = createSocket('udp4');
    t.after(() => client.close());
    const got: Buffer[] = [];
    client.on('message', message => got.push(message));
    const named = (name: string): Buffer =>
      Buffer.concat([
        Buffer.from([0, 0, 0, 3, name.length]),
        Buffer.from(name),
        Buffer.from([echo.port >> 8, echo.port & 255]),
      ]);
    for (const text of ['one', 'two'])
      client.send(Buffer.concat([named('db.internal'), Buffer.from(text)]), relay, '127.0.0.1');
    for (let again = 0; again < 10; again += 1)
      client.send(Buffer.concat([named('none.internal'), Buffer.from('x')]), relay, '127.0.0.1');
    await until('the echoes', () => got.length === 2);
    const header = encodeUdpHeader(Uint8Array.of(127, 0, 0, 1), echo.port);
    assert.deepEqual(got, [Buffer.concat([header, Buffer.from('one')]), Buffer.concat([header, Buffer.from('two')])]);
    await until('the refusal', () => world.denied.unresolved === 1);
    socket.destroy();
    await until('the flows’ ends', () => world.tracker.active().every(({ onRamp }) => onRamp === 'names'));
    await Promise.all([echo.close(), dns.close()]);
  });

  it('has a limit of associations for an address, and gives places back', async t => {
    const { network } = world;
    const server = world.use(
      await openSocksServer({
        host: '127.0.0.1',
        port: 0,
        network,
        admission: world.admission(),
        logger: silentLogger(),
        associationLimits: { total: 10, perAccount: 10, perAddress: 1 },
      }),
    );
    const associate = async (): Promise<{ readonly socket: Socket; readonly status: number | undefined }> => {
      const socket = await dial(t, server.port);
      socket.write(Buffer.concat([hello('default', world.token), request(3, 0, [0, 0, 0, 0])]));
      await readExactly(socket, 4);
      return { socket, status: (await readExactly(socket, 10))[1] };
    };
    const first = await associate();
    assert.deepEqual([first.status, (await associate()).status], [0, 1]);
    assert.deepEqual([server.associations.active, server.refusedAssociations()], [1, 1]);
    first.socket.destroy();
    await until('the end', () => server.associations.active === 0);
    assert.equal((await associate()).status, 0);
  });

  it('holds few connections of one address that say nothing', async t => {
    const [{ network }, admission] = [world, world.admission()];
    const server = world.use(
      await openSocksServer({
        host: '127.0.0.1',
        port: 0,
        network,
        admission,
        logger: silentLogger(),
        handshakeLimits: { total: 10, perAddress: 2 },
      }),
    );
    const silent = await dial(t, server.port);
    await dial(t, server.port);
    await within('the cut', once((await dial(t, server.port)).resume(), 'end'), 5_000);
    assert.equal(admission.refused.connections, 1);
    silent.destroy();
    const origin = await echoServer(t);
    // Those that were admitted count no more.
    for (let index = 0; index < 4; index += 1) {
      await until('an answer', async () => {
        const socket = await dial(t, server.port);
        socket.write(Buffer.concat([hello('default', world.token), request(1, origin)]));
        return readExactly(socket, 14).then(
          answer => answer[5] === 0,
          () => false,
        );
      });
    }
    assert.equal(world.tracker.size, 4);
  });

  it('drops payloads that no datagram of the tunnel carries, also while a session is being made', async t => {
    const echo = await openUdpEcho();
    const socket = await dial(t, await open());
    socket.write(Buffer.concat([hello('default', world.token), request(3, 0, [0, 0, 0, 0])]));
    await readExactly(socket, 4);
    const relay = (await readExactly(socket, 10)).readUInt16BE(8);
    const client = createSocket('udp4');
    t.after(() => client.close());
    const got: number[] = [];
    client.on('message', message => got.push(message.length - 10));
    const header = encodeUdpHeader(Uint8Array.of(127, 0, 0, 1), echo.port);
    for (const bytes of [60_000, 1_281, 1_280])
      client.send(Buffer.concat([header, Buffer.alloc(bytes)]), relay, '127.0.0.1');
    await until('an echo', () => got.length === 1);
    assert.deepEqual([got, server?.associations.dropped.too_large], [[1_280], 2]);
    socket.destroy();
    await until('the flow’s end', () => world.tracker.size === 0);
    await echo.close();
  });

  it('takes whoever sends the first whole datagram from the client’s address for the client', async t => {
    const echo = await openUdpEcho();
    const socket = await dial(t, await open());
    socket.write(Buffer.concat([hello('default', world.token), request(3, 0, [0, 0, 0, 0])]));
    await readExactly(socket, 4);
    const relay = (await readExactly(socket, 10)).readUInt16BE(8);
    const [stray, client] = [createSocket('udp4'), createSocket('udp4')];
    t.after(() => {
      stray.close();
      client.close();
    });
    let got = 0;
    client.on('message', () => {
      got += 1;
    });
    stray.send('stray', relay, '127.0.0.1');
    await until('the drop', () => server?.associations.dropped.malformed === 1);
    const header = encodeUdpHeader(Uint8Array.of(127, 0, 0, 1), echo.port);
    client.send(Buffer.concat([header, Buffer.from('x')]), relay, '127.0.0.1');
    await until('an echo', () => got === 1);
    socket.destroy();
    await until('the flow’s end', () => world.tracker.size === 0);
    await echo.close();
  });

  it('takes no datagram from port 0, where no answer can go', async t => {
    const sendPortless = await openPortlessSender(t);
    if (sendPortless === undefined) return;
    const echo = await openUdpEcho();
    const socket = await dial(t, await open());
    socket.write(Buffer.concat([hello('default', world.token), request(3, 0, [0, 0, 0, 0])]));
    await readExactly(socket, 4);
    const relay = (await readExactly(socket, 10)).readUInt16BE(8);
    const header = encodeUdpHeader(Uint8Array.of(127, 0, 0, 1), echo.port);
    sendPortless(header, relay);
    const client = createSocket('udp4');
    t.after(() => client.close());
    const got: Buffer[] = [];
    client.on('message', message => got.push(message));
    client.send(Buffer.concat([header, Buffer.from('x')]), relay, '127.0.0.1');
    await until('an echo', () => got.length === 1);
    assert.equal(echo.received.length, 1);
    socket.destroy();
    await until('the flow’s end', () => world.tracker.size === 0);
    await echo.close();
  });

  it('serves curl, by address and by name', async t => {
    const origin = await listen(
      t,
      createHttpServer((incoming, response) => response.end(`${incoming.headers.host}`)),
    );
    await world.addHostname('localhost', connector.tunnelId);
    const port = await open();
    const curl = async (url: string, proxy: string): Promise<string> =>
      (await run('curl', ['--silent', '--show-error', '--max-time', '20', '--proxy', proxy, url])).stdout;
    const login = `default:${encodeURIComponent(world.token)}@127.0.0.1:${port}`;
    assert.equal(await curl(`http://127.0.0.1:${origin}/`, `socks5h://${login}`), `127.0.0.1:${origin}`);
    assert.equal(await curl(`http://localhost:${origin}/`, `socks5h://${login}`), `localhost:${origin}`);
    assert.deepEqual(connector.dialled, [`127.0.0.1:${origin}`, `localhost:${origin}`]);
    await assert.rejects(() => curl(`http://127.0.0.1:${origin}/`, `socks5h://127.0.0.1:${port}`));
    await assert.rejects(() => curl('http://other.internal/', `socks5h://${login}`));
  });
});
