// Ways of a connector to its edge other than the straight one: the visitors' HTTPS port where its own port is blocked, and a
// proxy behind TLS.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import {
  connect as connectTls,
  createServer as createTlsServer,
  getCACertificates,
  setDefaultCACertificates,
  type TLSSocket,
} from 'node:tls';
import { EdgeWorld } from '../../test/support/edge-world.ts';
import { RawVisitor } from '../../test/support/raw-visitor.ts';
import { createTestCa, type TestCa } from '../../test/support/test-ca.ts';
import { until, within } from '../../test/support/wait.ts';
import { type ForwardProxy, parseForwardProxy } from '../net/proxy/forward-proxy.ts';
import { connectorAlpn, http2ServerName } from '../transport/tls.ts';
import type { EdgeSettings } from './edge-access.ts';

const service = [{ service: 'http_status:204' }];

/** A port of this machine where nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function settings(world: EdgeWorld, port: number, rest: Partial<EdgeSettings> = {}): EdgeSettings {
  return {
    addresses: [{ host: '127.0.0.1', port }],
    region: undefined,
    ipVersion: 'auto',
    bindAddress: undefined,
    ca: [world.edge.caPem],
    caPin: undefined,
    rootsFile: '/nowhere',
    ...rest,
  };
}

async function answerOf(t: TestContext, world: EdgeWorld, host: string): Promise<string> {
  const visitor = await RawVisitor.open(t, world.httpPort);
  visitor.send(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  await visitor.sees('\r\n\r\n');
  return visitor.text.slice(9, 12);
}

async function handshake(world: EdgeWorld, servername: string, protocols: readonly string[]): Promise<TLSSocket> {
  const socket = connectTls({
    ...{ host: '127.0.0.1', port: world.httpsPort, servername, ca: world.edge.caPem },
    ...(protocols.length === 0 ? {} : { ALPNProtocols: [...protocols] }),
  });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  return socket;
}

describe('the visitors’ HTTPS port', () => {
  it('takes a connector whose own port is blocked, by ALPN, and one that offers none by name, also post-quantum', async t => {
    const world = await EdgeWorld.open(t);
    const tunnel = await world.makeTunnel();
    const blocked = await closedPort();
    for (const [edge, postQuantum] of [
      [settings(world, blocked, { sharedPort: world.httpsPort }), false],
      // As a stock connector with `--edge HOST:443`.
      [settings(world, world.httpsPort), false],
      [settings(world, blocked, { sharedPort: world.httpsPort }), true],
    ] as const) {
      const running = await world.connect(tunnel, service, { edge, postQuantum });
      assert.equal(await answerOf(t, world, tunnel.host), '204');
      await running.stop(0);
      await until('the connection to end', () => world.edge.registry.all().length === 0);
    }
  });

  it('prefers the edge’s own port', async t => {
    const world = await EdgeWorld.open(t);
    const tunnel = await world.makeTunnel();
    await world.connect(tunnel, service, {
      edge: settings(world, world.edge.connectorPort, { sharedPort: world.httpsPort }),
    });
    const [one] = world.edge.registry.all();
    assert.match(one?.connection.localAddress ?? '', new RegExp(`:${world.edge.connectorPort}$`));
  });

  it('stays a visitor’s for whoever speaks as one, and closes what is neither', async t => {
    const world = await EdgeWorld.open(t);
    const browser = await handshake(world, http2ServerName, ['h2', 'http/1.1']);
    assert.equal(browser.alpnProtocol, 'h2');
    browser.destroy();
    const other = await handshake(world, 'app.example.test', [connectorAlpn]);
    await within('the connection to be closed', once(other, 'close'));
    const plain = await handshake(world, 'app.example.test', []);
    plain.write('GET / HTTP/1.1\r\nHost: app.example.test\r\nConnection: close\r\n\r\n');
    const [chunk] = (await once(plain, 'data')) as [Buffer];
    assert.match(chunk.toString('latin1'), /^HTTP\/1\.1 /);
    plain.destroy();
  });

  it('lets an edge stop with connectors there', async t => {
    const world = await EdgeWorld.open(t);
    const tunnel = await world.makeTunnel();
    await world.connect(tunnel, service, { edge: settings(world, world.httpsPort) });
    await within('the edge to stop', world.edge.stop(), 5_000);
  });
});

/** A proxy behind TLS that knows one user. */
async function openTlsProxy(t: TestContext, ca: TestCa): Promise<ForwardProxy> {
  const sockets = new Set<Socket>();
  const server = createTlsServer(await ca.issue(['localhost']), client => {
    sockets.add(client);
    client.on('error', () => undefined);
    client.once('data', (head: Buffer) => {
      const [, host = '', port = ''] = /^CONNECT ([^:]+):(\d+) /.exec(head.toString('latin1')) ?? [];
      if (!head.includes(Buffer.from('alice:word').toString('base64')))
        return void client.end('HTTP/1.1 407 No\r\n\r\n');
      const target = connect(Number(port), host, () => {
        client.write('HTTP/1.1 200 OK\r\n\r\n');
        client.pipe(target).pipe(client);
      });
      sockets.add(target);
      target.on('error', () => client.destroy());
      client.once('close', () => target.destroy());
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return parseForwardProxy(`https://alice:word@localhost:${(server.address() as AddressInfo).port}`);
}

describe('a proxy behind TLS', () => {
  it('carries a connection, with the TLS of the edge inside', async t => {
    const ca = await createTestCa();
    setDefaultCACertificates([...getCACertificates('default'), ca.cert]);
    const world = await EdgeWorld.open(t);
    const tunnel = await world.makeTunnel();
    const proxy = await openTlsProxy(t, ca);
    const running = await world.connect(tunnel, service, {
      edge: settings(world, world.edge.connectorPort, { proxy }),
    });
    assert.equal(await answerOf(t, world, tunnel.host), '204');
    const [info] = running.connector.connections;
    assert.equal(info?.protocol, 'http2');
    await running.stop(0);
  });
});
