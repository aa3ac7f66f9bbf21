// HTTPS origins, unix sockets and forward proxies: the way to the origin.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type ServerOptions } from 'node:https';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { createSecureContext, type TLSSocket } from 'node:tls';
import { listen, listenRaw } from '../../../test/support/origin-server.ts';
import {
  httpService,
  proxyTo,
  type TestProxy,
  type TestProxyOptions,
  unixService,
} from '../../../test/support/proxied.ts';
import { createTestCa, type TestCa } from '../../../test/support/test-ca.ts';
import { within } from '../../../test/support/wait.ts';
import type { OriginRequest } from '../../schema/origin-request.ts';
import type { Service } from '../../schema/service.ts';
import { acceptSocks } from '../services/socks.ts';

let ca: TestCa;
let directory: string;
let caPool: string;

before(async () => {
  ca = await createTestCa();
  directory = await mkdtemp(join(tmpdir(), 'postern-https-'));
  caPool = join(directory, 'ca.pem');
  await writeFile(caPool, `some words\n${ca.cert}`);
});

after(() => rm(directory, { recursive: true }));

/** An HTTPS server whose answer is the SNI it was asked for. */
async function secureServer(
  t: TestContext,
  names: string[],
  options: ServerOptions = {},
  path?: string,
): Promise<number> {
  const { key, cert } = await ca.issue(names);
  const server = createServer({ key, cert, ...options }, (request, response) => {
    response.end(String((request.socket as TLSSocket & { servername?: string | false }).servername));
  });
  return listen(t, server, path);
}

async function to(
  t: TestContext,
  service: Service,
  originRequest: Partial<OriginRequest>,
  options: TestProxyOptions = {},
): Promise<TestProxy> {
  const test = await proxyTo(service, originRequest, options);
  t.after(() => test.close());
  return test;
}

async function body(test: TestProxy, host = 'app.example.com'): Promise<string> {
  const incoming = test.request({ host });
  await within('a response', incoming.response);
  return (await incoming.bytes()).toString();
}

function hops(test: TestProxy): unknown[] {
  return test.lines.filter(line => line.level === 'error').map(line => line.hop);
}

describe('HTTPS origins', () => {
  it('verifies against caPool under originServerName', async t => {
    const port = await secureServer(t, ['inner.test']);
    const good = await to(t, httpService(port, 'https'), { caPool, originServerName: 'inner.test' });
    assert.equal(await body(good), 'inner.test');
    assert.equal(await body(good), 'inner.test');
    const wrongName = await to(t, httpService(port, 'https'), { caPool, originServerName: 'other.test' });
    await assert.rejects(body(wrongName), /TLS handshake failed with 127\.0\.0\.1.*other\.test.*originServerName/);
    const noPool = await to(t, httpService(port, 'https'), { originServerName: 'inner.test' });
    await assert.rejects(body(noPool), ({ message }: Error) => {
      assert.match(
        message,
        /TLS handshake failed with .*\. Set caPool to a file with the CA of the origin, or noTLSVerify/,
      );
      assert.doesNotMatch(message, /Node|use-system-ca/);
      return true;
    });
    assert.deepEqual([hops(wrongName), hops(noPool)], [['tls'], ['tls']]);
    const unverified = await to(t, httpService(port, 'https'), { noTLSVerify: true });
    assert.equal(await body(unverified), 'false');
  });

  it('verifies an IP address without sending it as a name', async t => {
    const port = await secureServer(t, ['127.0.0.1']);
    assert.equal(await body(await to(t, httpService(port, 'https'), { caPool })), 'false');
  });

  it('matches the name to the host of each request, also at once', async t => {
    const contexts = new Map<string, ReturnType<typeof createSecureContext>>();
    for (const name of ['a.test', 'b.test', 'c.test']) contexts.set(name, createSecureContext(await ca.issue([name])));
    const port = await secureServer(t, ['unused.test'], {
      SNICallback: (name, callback) => callback(null, contexts.get(name)),
    });
    const test = await to(t, httpService(port, 'https'), { caPool, matchSNItoHost: true });
    const hosts = Array.from({ length: 30 }, (_, index) => `${'abc'[index % 3]}.test`);
    assert.deepEqual(await Promise.all(hosts.map(host => body(test, `${host}:8443`))), hosts);
    await assert.rejects(body(test, 'd.test'), /TLS handshake failed/);
    const rewritten = await to(t, httpService(port, 'https'), {
      caPool,
      matchSNItoHost: true,
      httpHostHeader: 'b.test',
      originServerName: 'a.test',
    });
    assert.equal(await body(rewritten, 'x.test'), 'b.test');
  });

  it('bounds the names it keeps connections for', async t => {
    const port = await secureServer(t, ['unused.test']);
    const test = await to(t, httpService(port, 'https'), { noTLSVerify: true, matchSNItoHost: true });
    for (let index = 0; index < 70; index += 1) assert.equal(await body(test, `n${index}.test`), `n${index}.test`);
  });

  it('gives up on a handshake and on a connection after their time', async t => {
    const port = await listenRaw(t, socket => void socket.resume());
    const test = await to(t, httpService(port, 'https'), { tlsTimeoutMs: 50 });
    await assert.rejects(body(test), /TLS handshake failed.*no answer within 50 ms/);
    assert.deepEqual(hops(test), ['tls']);
    // TEST-NET-1 answers nobody; where the machine has no route at all the system says so first.
    const far = await to(t, httpService(9, 'http', '192.0.2.1'), { connectTimeoutMs: 50 });
    await assert.rejects(body(far), /Could not connect to 192\.0\.2\.1:9/);
    assert.deepEqual(hops(far), ['connect']);
    const nowhere = await to(t, httpService(80, 'http', 'no-such-host.invalid'), {});
    await assert.rejects(body(nowhere), /Could not resolve the address of no-such-host\.invalid/);
    assert.deepEqual(hops(nowhere), ['resolve']);
  });

  it('refuses to open with an unreadable caPool, and says which', async () => {
    await assert.rejects(
      proxyTo(httpService(1, 'https'), { caPool: join(directory, 'missing.pem') }),
      /unable to read the file .*missing\.pem for --origin-ca-pool/,
    );
  });
});

describe('unix sockets', () => {
  it('serves HTTP and HTTPS, with Host as received', async t => {
    const plain = join(directory, 'plain.sock');
    const server = createHttpServer((request, response) => void response.end(request.headers.host));
    await listen(t, server, plain);
    assert.equal(await body(await to(t, unixService(plain), { httpHostHeader: 'ignored' })), 'app.example.com');
    const secure = join(directory, 'secure.sock');
    await secureServer(t, ['app.example.com'], {}, secure);
    assert.equal(await body(await to(t, unixService(secure, true), { caPool })), 'app.example.com');
    const named = await to(t, unixService(secure, true), { caPool, originServerName: 'other.test' });
    await assert.rejects(body(named), /TLS handshake failed with unix:/);
    await assert.rejects(body(await to(t, unixService(join(directory, 'none.sock')), {})), /ENOENT/);
  });
});

describe('forward proxies', () => {
  it('reaches any origin through SOCKS5', async t => {
    const asked: string[] = [];
    const open = async (host: string, port: number): Promise<Socket> => {
      asked.push(`${host}:${port}`);
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      await once(socket, 'connect');
      return socket;
    };
    const socks = await listenRaw(t, socket => void acceptSocks(socket, { open }).catch(() => socket.destroy()));
    const url = `socks5://127.0.0.1:${socks}`;
    const outboundProxy = { httpProxy: url, httpsProxy: url, noProxy: '' };
    const port = await secureServer(t, ['inner.test']);
    const secure = await to(t, httpService(port, 'https', 'inner.test'), { caPool }, { outboundProxy });
    assert.equal(await body(secure), 'inner.test');
    const plainPort = await listen(
      t,
      createHttpServer((request, response) => void response.end(request.url)),
    );
    const plain = await to(t, httpService(plainPort, 'http', 'inner.test'), {}, { outboundProxy });
    assert.equal(await body(plain), '/');
    assert.deepEqual(asked, [`inner.test:${port}`, `inner.test:${plainPort}`]);
  });

  /** A proxy that takes absolute form and CONNECT, and sends every name to loopback. */
  async function forwardProxy(t: TestContext): Promise<{ url: string; asked: string[] }> {
    const asked: string[] = [];
    const server = createHttpServer((request, response) => {
      asked.push(`${request.method} ${request.url} ${request.headers['proxy-authorization']}`);
      response.end('by the proxy');
    });
    server.on('connect', (request, socket: Socket) => {
      asked.push(`CONNECT ${request.url} ${request.headers['proxy-authorization']}`);
      if (request.url?.startsWith('denied') === true) {
        socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
        return;
      }
      const onward = connect(Number(request.url?.split(':')[1]), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        socket.pipe(onward).pipe(socket);
      });
      onward.on('error', () => socket.destroy());
      socket.on('error', () => onward.destroy()).on('close', () => onward.destroy());
    });
    return { url: `http://user:p%40ss@127.0.0.1:${await listen(t, server)}`, asked };
  }
  const credentials = `Basic ${Buffer.from('user:p@ss').toString('base64')}`;

  it('hands plain requests to the proxy and tunnels secure ones', async t => {
    const { url, asked } = await forwardProxy(t);
    const outboundProxy = { httpProxy: url, httpsProxy: url, noProxy: 'direct.test' };
    const plain = await to(t, httpService(8080, 'http', 'inner.test'), {}, { outboundProxy });
    assert.equal(await body(plain), 'by the proxy');
    const port = await secureServer(t, ['inner.test']);
    const secure = await to(t, httpService(port, 'https', 'inner.test'), { caPool }, { outboundProxy });
    assert.equal(await body(secure), 'inner.test');
    assert.deepEqual(asked, [
      `GET http://inner.test:8080/ ${credentials}`,
      `CONNECT inner.test:${port} ${credentials}`,
    ]);
    const denied = await to(t, httpService(443, 'https', 'denied.test'), { caPool }, { outboundProxy });
    await assert.rejects(body(denied), /the proxy answered 403/);
    const local = await to(t, httpService(port, 'https'), { noTLSVerify: true }, { outboundProxy });
    assert.equal(await body(local), 'false');
    assert.equal(asked.length, 3);
  });
});
