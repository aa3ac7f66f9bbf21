// Proxies that answer badly, late or not at all, and one behind TLS. Real proxies: test/e2e/edge-proxy.test.ts.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { createTestCa } from '../../../test/support/test-ca.ts';
import { within } from '../../../test/support/wait.ts';
import { isPosternError, type PosternError } from '../../errors/error.ts';
import { dialThroughProxy } from './dial-proxy.ts';
import { type ForwardProxy, parseForwardProxy } from './forward-proxy.ts';

async function open(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A proxy that answers whatever comes with `text`. */
const answering = (t: TestContext, text: string): Promise<number> =>
  open(
    t,
    createServer(socket => socket.once('data', () => socket.write(text, 'latin1'))),
  );

async function failure(proxy: ForwardProxy, timeoutMs = 5_000, signal?: AbortSignal): Promise<PosternError> {
  try {
    await within('the dial to fail', dialThroughProxy({ proxy, host: 'edge.test', port: 7844, timeoutMs, signal }));
  } catch (error) {
    assert.ok(isPosternError(error));
    return error;
  }
  return assert.fail('the dial did not fail');
}

const proxyOf = (port: number, scheme = 'http'): ForwardProxy =>
  parseForwardProxy(`${scheme}://alice:secret-word@127.0.0.1:${port}`);

describe('dial through a proxy', () => {
  it('says what a proxy answered, never the password', async t => {
    for (const [text, expected] of [
      ['HTTP/1.1 407 Proxy Authentication Required\r\n\r\n', /answered 407: it wants a user and password/],
      ['HTTP/1.1 403 Forbidden\r\n\r\n', /answered 403: it does not allow CONNECT/],
      ['HTTP/1.1 502 \r\n\r\n', /answered 502/],
      ['SSH-2.0-OpenSSH_9.2\r\n\r\n', /something other than HTTP/],
      [`HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(5_000)}`, /too long/],
    ] as const) {
      const error = await failure(proxyOf(await answering(t, text)));
      assert.equal(error.code, 'dial.failed');
      assert.match(error.message, expected);
      assert.ok(!`${error.message} ${String(error.cause)}`.includes('secret-word'));
    }
    for (const bytes of ['\x05\xff', '\x05\x02\x01\x01', '\x04\x5a']) {
      const error = await failure(proxyOf(await answering(t, bytes), 'socks5'));
      assert.equal(error.code, 'dial.failed');
      assert.ok(!`${error.message} ${String(error.cause)}`.includes('secret-word'));
    }
  });

  it('gives up in time on a proxy that says nothing, and at once when it closes, dies or is not there', async t => {
    const silent = await open(t, createServer());
    for (const scheme of ['http', 'https', 'socks5']) {
      const error = await failure(proxyOf(silent, scheme), 100);
      assert.equal(error.code, 'dial.timeout', scheme);
      assert.match(error.message, /127\.0\.0\.1:\d+ has not led to edge\.test:7844 within 100 ms/);
    }
    const closing = await open(
      t,
      createServer(socket => socket.once('data', () => socket.destroy())),
    );
    for (const scheme of ['http', 'https', 'socks5']) {
      const { code } = await failure(proxyOf(closing, scheme));
      assert.equal(code, scheme === 'https' ? 'tls.failed' : 'dial.failed', scheme);
    }
    assert.match(
      (await failure(proxyOf(1))).message,
      /Cannot connect to the proxy http:\/\/127\.0\.0\.1:1 \(ECONNREFUSED\)/,
    );
  });

  it('ends when its caller gives up', async t => {
    const stop = new AbortController();
    const failed = failure(proxyOf(await open(t, createServer())), 5_000, stop.signal);
    stop.abort();
    assert.equal((await failed).code, 'connection.closed');
  });

  it('does not trust a proxy whose certificate nobody vouches for', async t => {
    const ca = await createTestCa();
    const { key, cert } = await ca.issue(['127.0.0.1']);
    const error = await failure(proxyOf(await open(t, createTlsServer({ key, cert })), 'https'));
    assert.equal(error.code, 'tls.failed');
    assert.match(error.message, /with the proxy https:\/\/127\.0\.0\.1:\d+ failed/);
  });

  it('leaves what the target says first in the socket', async t => {
    const port = await open(
      t,
      createServer(socket => {
        socket.once('data', (chunk: Buffer) => {
          assert.match(
            chunk.toString('latin1'),
            /^CONNECT edge\.test:7844 HTTP\/1\.1\r\nHost: edge\.test:7844\r\nProxy-Authorization: Basic /,
          );
          socket.write('HTTP/1.1 200 Connection established\r\n\r\nhello');
        });
      }),
    );
    const { socket, localAddress } = await dialThroughProxy({
      ...{ proxy: proxyOf(port), host: 'edge.test', port: 7844, timeoutMs: 5_000 },
    });
    assert.equal(localAddress, '127.0.0.1');
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    assert.equal(chunk.toString(), 'hello');
    socket.destroy();
  });
});
