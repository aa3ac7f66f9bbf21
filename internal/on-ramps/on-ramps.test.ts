// The on-ramps of an edge together: what may not be opened, and how they end.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test';
import { addressHost } from '../../test/support/address-host.ts';
import { listen } from '../../test/support/origin-server.ts';
import { PrivateWorld } from '../../test/support/private-world.ts';
import { until } from '../../test/support/wait.ts';
import { isPosternError } from '../errors/error.ts';
import { readExactly } from '../net/stream/read-exactly.ts';
import { silentLogger } from '../telemetry/logger.ts';
import { type OnRampSettings, openPrivateServices } from './on-ramps.ts';

const any = { host: '127.0.0.1', port: 0 } as const;
const resolver = { host: addressHost('10.0.0.53'), port: 53 };

describe('on-ramps', () => {
  let world: PrivateWorld;
  beforeEach(async () => {
    world = await PrivateWorld.open();
  });
  afterEach(() => world.close());
  const open = (onRamps: OnRampSettings) => {
    const { store, registry, accountTag } = world;
    return openPrivateServices({ store, registry, accountTag, logger: silentLogger(), onRamps });
  };
  /** A SOCKS connection without credentials to an echo server behind the tunnel. */
  const connectOpen = async (t: TestContext, port: number, origin: number): Promise<Socket> => {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    socket.on('error', () => undefined);
    t.after(() => socket.destroy());
    socket.write(Buffer.from([5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, origin >> 8, origin & 0xff]));
    assert.equal((await readExactly(socket, 12))[3], 0);
    return socket;
  };

  it('are those that are asked for', async () => {
    await using none = await open({ dns: [] });
    assert.deepEqual([none.socksPort, none.httpProxyPort, none.dnsPorts], [undefined, undefined, []]);
    const dns = [{ ...any, vnet: 'default', resolver }];
    await using all = await open({ socks: { ...any, open: false }, httpProxy: { ...any, open: false }, dns });
    for (const port of [all.socksPort, all.httpProxyPort, ...all.dnsPorts]) assert.ok((port ?? 0) > 0);
  });

  it('need credentials where others can reach them', async () => {
    for (const host of ['0.0.0.0', '::', '192.0.2.1'])
      await assert.rejects(
        () => open({ socks: { host, port: 0, open: true }, dns: [] }),
        error => isPosternError(error, 'config.invalid'),
      );
    await assert.rejects(
      () => open({ httpProxy: { host: '0.0.0.0', port: 0, open: true }, dns: [] }),
      error => isPosternError(error, 'config.invalid'),
    );
    await using loopback = await open({ socks: { host: '::1', port: 0, open: true }, dns: [] });
    assert.ok((loopback.socksPort ?? 0) > 0);
  });

  it('close again what was opened when a later one cannot listen', async t => {
    const taken = await listen(t, createServer());
    await assert.rejects(
      () =>
        open({ socks: { ...any, open: false }, httpProxy: { host: '127.0.0.1', port: taken, open: false }, dns: [] }),
      error => isPosternError(error, 'listen.failed'),
    );
  });

  it('let streams finish while they drain, and cut them when they are closed', async t => {
    const origin = await listen(
      t,
      createServer({ allowHalfOpen: true }, socket => socket.pipe(socket)),
    );
    const tunnel = await world.addTunnel('home');
    await world.addRoute('127.0.0.0/8', tunnel);
    await world.connect(tunnel);
    const services = await open({ socks: { ...any, open: true }, dns: [] });
    const port = services.socksPort ?? 0;
    const [first, second] = [await connectOpen(t, port, origin), await connectOpen(t, port, origin)];
    let drained = false;
    const draining = services.drain(60_000).then(() => {
      drained = true;
    });
    const late = connect(port, '127.0.0.1');
    await once(late, 'error');
    first.end('last words');
    assert.equal(Buffer.concat(await first.toArray()).toString(), 'last words');
    await until('the first end', () => services.network.tracker.size === 1);
    assert.equal(drained, false);
    second.end();
    await draining;
    await services[Symbol.asyncDispose]();

    const again = await open({ socks: { ...any, open: true }, dns: [] });
    const third = await connectOpen(t, again.socksPort ?? 0, origin);
    await again.drain(10);
    await again[Symbol.asyncDispose]();
    third.resume();
    await Promise.race([once(third, 'end'), once(third, 'close')]);
    assert.equal(again.network.tracker.size, 0);
  });
});
