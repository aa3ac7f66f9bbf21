// TLS passthrough through an edge with a real connector: whose certificate visitors see, on the port that serves all.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { it, type TestContext } from 'node:test';
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { EdgeWorld } from '../../../test/support/edge-world.ts';
import { listen, listenRaw } from '../../../test/support/origin-server.ts';
import { createTestCa } from '../../../test/support/test-ca.ts';
import { until, within } from '../../../test/support/wait.ts';

const host = 'own.example.test';

async function openWorld(t: TestContext, tls: 'passthrough' | 'passthrough-v2' = 'passthrough') {
  const world = await EdgeWorld.open(t);
  const tunnel = await world.makeTunnel();
  const { store } = world.edge;
  const route = (mode: typeof tls | 'terminate') =>
    store.hostnames.route(
      { hostname: host, tunnelId: tunnel.id, accountTag: tunnel.accountTag, createdAtMs: 1, tls: mode },
      { overwrite: false },
    );
  await route(tls);
  return { world, tunnel, route };
}

async function handshake(t: TestContext, port: number, servername: string): Promise<TLSSocket> {
  const socket = connectTls({
    port,
    host: '127.0.0.1',
    servername,
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
  });
  t.after(() => socket.destroy());
  await within('the handshake', once(socket, 'secureConnect'));
  socket.on('error', () => undefined);
  return socket;
}

it('the origin opens the TLS of its own name, the edge that of others, on one port', async t => {
  const ca = await createTestCa();
  const { key, cert } = await ca.issue([host]);
  const origin = createTlsServer({ key, cert }, socket => {
    socket.on('error', () => undefined);
    socket.on('data', chunk => void socket.write(`origin ${String(chunk)}`));
  });
  const originPort = await listen(t, origin);
  const { world, tunnel, route } = await openWorld(t);
  const ingress = [{ hostname: host, service: `tcp://127.0.0.1:${originPort}` }, { service: 'http_status:204' }];
  await world.connect(tunnel, ingress);
  const own = await handshake(t, world.httpsPort, 'Own.Example.test');
  assert.deepEqual(own.getPeerCertificate().raw, new X509Certificate(cert).raw);
  own.write('hello');
  const [answer] = (await within('an answer', once(own, 'data'))) as [Buffer];
  assert.equal(String(answer), 'origin hello');
  const others = await handshake(t, world.httpsPort, tunnel.host);
  assert.notDeepEqual(others.getPeerCertificate().raw, own.getPeerCertificate().raw);
  others.write(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`);
  const [head] = (await within('an answer', once(others, 'data'))) as [Buffer];
  assert.match(String(head), /^HTTP\/1\.1 204 /);
  assert.equal(await route('terminate'), 'updated');
  // With a reset, which `once` would take for a failure.
  await within('the end of what was passed on', new Promise(resolve => own.once('close', resolve)));
  const now = await handshake(t, world.httpsPort, host);
  assert.deepEqual(now.getPeerCertificate().raw, others.getPeerCertificate().raw);
});

it('the origin is told who connects, before the ClientHello', async t => {
  let seen = Buffer.alloc(0);
  const originPort = await listenRaw(t, socket => {
    socket.on('data', chunk => {
      seen = Buffer.concat([seen, chunk as Buffer]);
    });
  });
  const { world, tunnel } = await openWorld(t, 'passthrough-v2');
  await world.connect(tunnel, [{ service: `tcp://127.0.0.1:${originPort}` }]);
  const client = connectTls({ port: world.httpsPort, host: '127.0.0.1', servername: host });
  client.on('error', () => undefined);
  t.after(() => client.destroy());
  await until('header and hello', () => seen.length > 100);
  assert.equal(seen.subarray(12, 16).toString('hex'), '2111000c');
  assert.equal(seen.readUInt16BE(24), client.localPort);
  assert.equal(seen[28], 22);
});

it('a name whose tunnel nobody serves is reset, and no certificate of the edge is shown for it', async t => {
  const { world } = await openWorld(t);
  const client = connectTls({ port: world.httpsPort, host: '127.0.0.1', servername: host, rejectUnauthorized: false });
  const [error] = (await within('the end', once(client, 'error'))) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET');
});
