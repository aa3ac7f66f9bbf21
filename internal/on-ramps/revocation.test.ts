// What an API token let into private networks ends with it: TCP flows in progress, UDP associations, connections of the HTTP
// proxy that wait for their next request; whoever revoked it, and when it expires.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test';
import { LateStore } from '../../test/support/late-store.ts';
import { listen } from '../../test/support/origin-server.ts';
import { PrivateWorld } from '../../test/support/private-world.ts';
import { until, within } from '../../test/support/wait.ts';
import { readExactly } from '../net/stream/read-exactly.ts';
import type { ApiTokenRecord, NewApiToken } from '../store/contract/records.ts';
import type { Store } from '../store/contract/store.ts';
import { createApiToken, digestApiToken } from '../store/secret-box.ts';
import { openSqliteStore } from '../store/sqlite/thread/sqlite-store.ts';
import { silentLogger } from '../telemetry/logger.ts';
import { openPrivateServices, type PrivateServices } from './on-ramps.ts';

const any = { host: '127.0.0.1', port: 0, open: false };

describe('an API token that is good no more', () => {
  let world: PrivateWorld;
  beforeEach(async () => {
    world = await PrivateWorld.open();
    const tunnel = await world.addTunnel('home');
    await world.addRoute('127.0.0.0/8', tunnel);
    await world.connect(tunnel);
  });
  afterEach(() => world.close());
  const open = async (t: TestContext, store: Store = world.store): Promise<PrivateServices> => {
    const { registry, accountTag } = world;
    const onRamps = { socks: any, httpProxy: any, dns: [] };
    const services = await openPrivateServices({ store, registry, accountTag, logger: silentLogger(), onRamps });
    t.after(() => services[Symbol.asyncDispose]());
    return services;
  };
  const newToken = async (rest: Partial<NewApiToken> = {}): Promise<ApiTokenRecord & { readonly text: string }> => {
    const text = createApiToken();
    const { accountTag } = world;
    const token = { digest: digestApiToken(text), accountTag, label: 'laptop', createdAtMs: 0, scopes: ['connect'] };
    return { ...(await world.store.accounts.addToken({ ...token, ...rest })), text };
  };
  const echoServer = (t: TestContext): Promise<number> =>
    listen(
      t,
      createServer({ allowHalfOpen: true }, socket => socket.pipe(socket)),
    );
  const dial = async (t: TestContext, port: number): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    return socket;
  };
  const socksHello = (token: string): Buffer =>
    Buffer.from(`\x05\x01\x02\x01\x07default${String.fromCharCode(token.length)}${token}`, 'latin1');
  const socksRequest = (command: number, port: number): Buffer =>
    Buffer.from([5, command, 0, 1, 127, 0, 0, 1, port >> 8, port & 0xff]);
  /** A SOCKS flow to an echo server, over which a word has passed. */
  const openFlow = async (t: TestContext, { socksPort = 0 }: PrivateServices, token: string, origin: number) => {
    const socket = await dial(t, socksPort);
    socket.write(Buffer.concat([socksHello(token), socksRequest(1, origin), Buffer.from('word')]));
    assert.equal((await readExactly(socket, 14))[5], 0);
    assert.equal(String(await readExactly(socket, 4)), 'word');
    return socket;
  };
  const cut = (socket: Socket, what: string): Promise<unknown> => within(what, once(socket.resume(), 'close'));

  it('cuts the TCP flows that it let in, and no other', async t => {
    const services = await open(t);
    const [origin, token, other] = [await echoServer(t), await newToken(), await newToken()];
    const reasons: string[] = [];
    services.network.tracker.subscribe(event => {
      if (event.kind === 'ended') reasons.push(event.reason);
    });
    const [first, second] = [
      await openFlow(t, services, token.text, origin),
      await openFlow(t, services, token.text, origin),
    ];
    const kept = await openFlow(t, services, other.text, origin);
    const ended = Promise.all([cut(first, 'the first flow'), cut(second, 'the second flow')]);
    await world.store.accounts.revokeToken(world.accountTag, token.id);
    await ended;
    assert.deepEqual(reasons, ['revoked', 'revoked']);
    kept.write('still');
    assert.equal(String(await readExactly(kept, 5)), 'still');
    const again = await dial(t, services.socksPort ?? 0);
    again.write(socksHello(token.text));
    assert.deepEqual([...(await readExactly(again, 4))], [5, 2, 1, 1]);
  });

  it('cuts associations, CONNECT tunnels and idle connections of the HTTP proxy', async t => {
    const services = await open(t);
    const token = await newToken();
    const control = await dial(t, services.socksPort ?? 0);
    control.write(Buffer.concat([socksHello(token.text), socksRequest(3, 0)]));
    assert.deepEqual([...(await readExactly(control, 6))], [5, 2, 1, 0, 5, 0]);
    const web = await listen(
      t,
      createHttpServer((_request, response) => response.end('ok')),
    );
    const login = `Proxy-Authorization: Basic ${Buffer.from(`default:${token.text}`).toString('base64')}\r\n`;
    const idle = await dial(t, services.httpProxyPort ?? 0);
    idle.write(`GET http://127.0.0.1:${web}/ HTTP/1.1\r\nHost: x\r\n${login}\r\n`);
    assert.match(String(await readExactly(idle, 15)), /^HTTP\/1.1 200 OK/);
    const tunnelled = await dial(t, services.httpProxyPort ?? 0);
    tunnelled.write(`CONNECT 127.0.0.1:${await echoServer(t)} HTTP/1.1\r\n${login}\r\n`);
    assert.match(String(await readExactly(tunnelled, 12)), /200$/);
    const ended = Promise.all([cut(control, 'the association'), cut(idle, 'the idle one'), cut(tunnelled, 'CONNECT')]);
    await world.store.accounts.revokeToken(world.accountTag, token.id);
    await ended;
  });

  it('cuts with its user and its device', async t => {
    const { accountTag, store } = world;
    const services = await open(t);
    const origin = await echoServer(t);
    const user = { id: crypto.randomUUID(), accountTag, name: 'ann', scopes: ['connect'], createdAtMs: 0 };
    await store.users.create(user);
    const device = { id: crypto.randomUUID(), accountTag, userId: user.id, name: 'laptop', createdAtMs: 0 };
    await store.devices.create(device);
    const own = await newToken({ userId: user.id });
    const laptop = await newToken({ userId: user.id, deviceId: device.id });
    const [first, second] = [
      await openFlow(t, services, own.text, origin),
      await openFlow(t, services, laptop.text, origin),
    ];
    const gone = cut(second, 'the flow of the device');
    await store.devices.remove(accountTag, device.id);
    await gone;
    assert.equal(first.destroyed, false);
    const last = cut(first, 'the flow of the user');
    await store.users.remove(accountTag, user.id);
    await last;
  });

  it('cuts when another edge on the store revoked it', async t => {
    const services = await open(t);
    const [origin, token] = [await echoServer(t), await newToken()];
    const socket = await openFlow(t, services, token.text, origin);
    const ended = cut(socket, 'the flow');
    await using other = await openSqliteStore({ path: join(world.directory, 'edge.db') });
    assert.equal(await other.accounts.revokeToken(world.accountTag, token.id), true);
    await ended;
  });

  it('cuts when it expires, and lets nobody in from then on', async t => {
    const services = await open(t);
    const token = await newToken({ expiresAtMs: Date.now() + 700 });
    const socket = await openFlow(t, services, token.text, await echoServer(t));
    await cut(socket, 'the flow');
    assert.ok(Date.now() >= (token.expiresAtMs ?? 0) - 50);
    const again = await dial(t, services.socksPort ?? 0);
    again.write(socksHello(token.text));
    assert.deepEqual([...(await readExactly(again, 4))], [5, 2, 1, 1]);
  });

  it('lets nobody in who came while it was revoked', async t => {
    const late = new LateStore(world.store);
    const services = await open(t, late.store);
    const token = await newToken();
    const held = late.hold('accounts', 'tokenByDigest');
    const socket = await dial(t, services.socksPort ?? 0);
    socket.write(socksHello(token.text));
    await held.asked;
    const told = new Promise<void>(resolve => {
      late.store.changes.subscribe(change => {
        if (change.kind === 'token-revoked') resolve();
      });
    });
    await world.store.accounts.revokeToken(world.accountTag, token.id);
    await within('the change', told);
    held.release();
    assert.deepEqual([...(await readExactly(socket, 4))], [5, 2, 1, 1]);
    await until('no flow', () => services.network.tracker.size === 0);
  });

  it('must have the scope connect in the first place', async t => {
    const services = await open(t);
    const token = await newToken({ scopes: ['tunnels:write'] });
    const socket = await dial(t, services.socksPort ?? 0);
    socket.write(socksHello(token.text));
    assert.deepEqual([...(await readExactly(socket, 4))], [5, 2, 1, 2]);
  });
});
