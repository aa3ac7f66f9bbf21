// Public ports of an edge with real connectors: what is carried, who gets in, and what ends it.

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { EdgeWorld } from '../../../test/support/edge-world.ts';
import { listen, listenRaw } from '../../../test/support/origin-server.ts';
import { readMetrics } from '../../../test/support/read-metrics.ts';
import { openUdpEcho } from '../../../test/support/udp-echo.ts';
import { until, within } from '../../../test/support/wait.ts';
import { createApiClient } from '../../api/client.ts';
import { parseOriginCert } from '../../credentials/origin-cert.ts';
import { parsePrefix } from '../../net/address/prefix.ts';
import type { Protocol } from '../../transport/transport.ts';

/** Below the ports that the system gives out by itself. */
const publicPorts = [{ first: 20_000, last: 31_999, account: undefined }];

/** The connector's owner must allow its own machine. */
const privateNetwork = {
  allowedDestinations: ['127.0.0.1/32'].flatMap(text => parsePrefix(text) ?? []),
  resolvers: [],
  echo: undefined,
};

async function openWorld(t: TestContext, options: Parameters<typeof EdgeWorld.open>[1] = {}) {
  const world = await EdgeWorld.open(t, { publicPorts, ...options });
  const tunnel = await world.makeTunnel();
  const cert = parseOriginCert(await readFile(join(world.stateDir, 'cert.pem'), 'utf8'));
  const api = createApiClient({ apiUrl: world.edge.apiUrl, apiToken: cert.apiToken, userAgent: 'test' });
  const account = { account: tunnel.accountTag };
  const add = (body: Partial<Parameters<typeof api.addPublicPort>[0]['body']> = {}) =>
    api.addPublicPort({ params: account, body: { protocol: 'tcp', port: 0, tunnel_id: tunnel.id, ...body } });
  return { world, tunnel, api, account, add };
}

/** Waits for nothing: who is turned away may learn it before the connection is told. */
function knock(t: TestContext, port: number): Socket {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => undefined);
  t.after(() => socket.destroy());
  return socket;
}

async function visit(t: TestContext, port: number): Promise<Socket> {
  const socket = knock(t, port);
  await within('the connection', once(socket, 'connect'));
  return socket;
}

async function textOf(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

/** Settles with the error code, or undefined for an orderly end. */
function closed(socket: Socket): Promise<string | undefined> {
  let code: string | undefined;
  socket.on('error', (error: NodeJS.ErrnoException) => {
    code = error.code;
  });
  socket.resume();
  return within(
    'the end of the connection',
    new Promise(resolve => {
      if (socket.closed) resolve(code);
      socket.once('close', () => resolve(code));
    }),
  );
}

/** An origin that answers when its visitor has ended, with the length of what came: only half-close gets an answer. */
const countAtEnd = (socket: Socket): void => {
  let bytes = 0;
  socket.on('data', chunk => {
    bytes += chunk.length;
  });
  socket.once('end', () => socket.end(`${bytes} bytes`));
};

describe('public TCP ports', () => {
  it('lead nobody to a connector itself, by whose host name it would answer', async t => {
    const { add } = await openWorld(t);
    for (const hostname of ['management.argotunnel.com', 'Management.Argotunnel.com.'])
      await assert.rejects(add({ hostname }), /the connectors' own|is not a valid host name/);
  });

  for (const protocol of ['http2', 'quic'] satisfies Protocol[])
    it(`carry TCP with half-close to an ingress rule and to a private address, over ${protocol}`, async t => {
      const { world, tunnel, add } = await openWorld(t);
      const origin = await listenRaw(t, countAtEnd);
      await world.connect(tunnel, [{ service: `tcp://127.0.0.1:${origin}` }], { protocol, privateNetwork });
      for (const leads of [{}, { target: `127.0.0.1:${origin}` }]) {
        const { port, status } = await add(leads);
        assert.equal(status, 'listening');
        const visitor = await visit(t, port);
        visitor.end(Buffer.alloc(3_000_000, 'x'));
        assert.equal(await within('the answer', textOf(visitor)), '3000000 bytes');
      }
    });

  it('tell the origin who connects, before the first byte', async t => {
    const { world, tunnel, add } = await openWorld(t);
    const seen: Buffer[] = [];
    const origin = await listenRaw(t, socket => {
      socket.once('data', (chunk: Buffer) => seen.push(chunk));
      countAtEnd(socket);
    });
    await world.connect(tunnel, [{ service: `tcp://127.0.0.1:${origin}` }], { privateNetwork });
    const first = await add({ proxy_protocol: 'v1' });
    const visitor = await visit(t, first.port);
    const { localPort } = visitor;
    visitor.end('hello');
    await within('the end', textOf(visitor));
    assert.equal(String(seen[0]).split('\r\n')[0], `PROXY TCP4 127.0.0.1 127.0.0.1 ${localPort} ${first.port}`);
    const second = await add({ proxy_protocol: 'v2', target: `127.0.0.1:${origin}` });
    const other = await visit(t, second.port);
    const otherPort = other.localPort;
    other.end('hello');
    assert.equal(await within('the end', textOf(other)), '33 bytes');
    assert.equal(seen[1]?.subarray(12, 16).toString('hex'), '2111000c');
    assert.equal(seen[1]?.readUInt16BE(24), otherPort);
  });

  it('turn away who is not allowed and who is too many, and count them', async t => {
    const { world, tunnel, add } = await openWorld(t, { metrics: { host: '127.0.0.1', port: 0 } });
    const origin = await listenRaw(t, socket => {
      socket.write('hello');
      socket.once('end', () => socket.end());
    });
    await world.connect(tunnel, [{ service: `tcp://127.0.0.1:${origin}` }]);
    const closedDoor = await add({ allow: ['203.0.113.0/24'] });
    assert.equal(await closed(knock(t, closedDoor.port)), 'ECONNRESET');
    const narrow = await add({ allow: ['127.0.0.0/8'], max_per_address: 1 });
    const one = await visit(t, narrow.port);
    await within('a greeting', once(one, 'data'));
    assert.equal(await closed(knock(t, narrow.port)), 'ECONNRESET');
    one.destroy();
    // The place is free again.
    const greeted = async (): Promise<boolean> => {
      const next = knock(t, narrow.port);
      return new Promise<boolean>(resolve => {
        next.once('data', () => resolve(true)).once('close', () => resolve(false));
      });
    };
    await until('a free place', greeted);
    const metrics = await readMetrics(world.edge.metrics ?? assert.fail());
    assert.equal(metrics.get('postern_public_port_refused_total{reason="not-allowed"}'), 1);
    assert.ok((metrics.get('postern_public_port_refused_total{reason="address-full"}') ?? 0) >= 1);
    assert.equal(metrics.get('postern_public_ports{state="listening"}'), 2);
  });

  it('reset who connects while nobody serves them, or a service that is none for TCP', async t => {
    const { world, tunnel, add } = await openWorld(t);
    const { port } = await add();
    assert.equal(await closed(knock(t, port)), 'ECONNRESET');
    await world.connect(tunnel, [{ service: 'http_status:200' }]);
    assert.equal(await closed(knock(t, port)), 'ECONNRESET');
  });

  it('cut an idle connection', async t => {
    const { world, tunnel, add } = await openWorld(t);
    const origin = await listenRaw(t, socket => void socket.write('hello'));
    await world.connect(tunnel, [{ service: `tcp://127.0.0.1:${origin}` }]);
    const visitor = await visit(t, (await add({ idle_timeout: 1 })).port);
    await within('a greeting', once(visitor, 'data'));
    await closed(visitor);
  });

  it('cut who is connected when their route, or their tunnel, is deleted, and free the port', async t => {
    const { world, tunnel, api, account, add } = await openWorld(t);
    const origin = await listenRaw(t, socket => void socket.write('hello'));
    await world.connect(tunnel, [{ service: `tcp://127.0.0.1:${origin}` }]);
    const made = await add();
    const visitor = await visit(t, made.port);
    await within('a greeting', once(visitor, 'data'));
    await api.deletePublicPort({ params: { ...account, id: made.id } });
    await closed(visitor);
    const again = await add({ port: made.port });
    const late = await visit(t, again.port);
    await within('a greeting', once(late, 'data'));
    await api.deleteTunnel({ params: { ...account, id: tunnel.id }, query: { cascade: true } });
    await closed(late);
    assert.deepEqual(await api.listPublicPorts({ params: account }), []);
  });

  it('come back with the edge, and wait for a port that is not free', async t => {
    const first = await openWorld(t);
    const origin = await listenRaw(t, socket => void socket.end('hello'));
    const { port } = await first.add();
    await first.world.edge.stop();
    const squatter = createServer();
    squatter.listen(port, '127.0.0.1');
    await once(squatter, 'listening');
    const world = await EdgeWorld.open(t, { publicPorts, stateDir: first.world.stateDir });
    await world.connect(first.tunnel, [{ service: `tcp://127.0.0.1:${origin}` }]);
    await until('the failure', () => world.lines.some(line => line.message === 'Cannot listen on a public port yet'));
    squatter.close();
    await until('the port', () => world.lines.some(line => line.message === 'Listening on a public port'));
    assert.equal(await within('a greeting', textOf(await visit(t, port))), 'hello');
  });
});

describe('public UDP ports', () => {
  it('carry datagrams as sessions, each with its source', async t => {
    const { world, tunnel, api, account, add } = await openWorld(t);
    const origin = await openUdpEcho();
    t.after(() => origin.close());
    await world.connect(tunnel, [{ service: 'http_status:404' }], { protocol: 'quic', privateNetwork });
    const made = await add({ protocol: 'udp', target: `127.0.0.1:${origin.port}`, proxy_protocol: 'v2' });
    const peers = [createSocket('udp4'), createSocket('udp4')];
    t.after(() => peers.map(peer => peer.close()));
    const answers = await Promise.all(
      peers.map(async (peer, index) => {
        const answer = once(peer, 'message') as Promise<[Buffer]>;
        peer.send(`datagram ${index}`, made.port, '127.0.0.1');
        const [bytes] = await within('an answer', answer);
        assert.equal(bytes.subarray(12, 16).toString('hex'), '2112000c');
        assert.equal(bytes.readUInt16BE(24), peer.address().port);
        return String(bytes.subarray(28));
      }),
    );
    assert.deepEqual(answers, ['datagram 0', 'datagram 1']);
    assert.equal(origin.sources.size, 2);
    await api.deletePublicPort({ params: { ...account, id: made.id } });
    await until('the end of both flows', () => world.edge.privateServices.network.tracker.size === 0);
  });
});

describe('the API of public ports', () => {
  it('gives out only what the operator allows, once, and says why not', async t => {
    const other = { first: 19_000, last: 19_009, account: 'somebody' };
    const { tunnel, api, account, add } = await openWorld(t, { publicPorts: [...publicPorts, other] });
    await assert.rejects(add({ port: 80 }), /Port 80 is not one that this edge gives out: 20000-31999/);
    await assert.rejects(add({ port: 19_000 }), /Port 19000 is not one/);
    const { port } = await add();
    await assert.rejects(add({ port }), /is given out already/);
    const squatter = createServer();
    const used = await within(
      'a used port',
      (async () => {
        for (;;) {
          const { port: free, id } = await add();
          await api.deletePublicPort({ params: { ...account, id } });
          squatter.listen(free, '127.0.0.1');
          await once(squatter, 'listening');
          return free;
        }
      })(),
    );
    t.after(() => squatter.close());
    await assert.rejects(add({ port: used }), /another program uses it/);
    assert.equal((await api.listPublicPorts({ params: account })).length, 1);
    await assert.rejects(add({ tunnel_id: '11111111-2222-4333-8444-555555555555' }), /Tunnel not found/);
    await assert.rejects(add({ protocol: 'udp' }), /A UDP port needs a target/);
    await assert.rejects(add({ protocol: 'udp', target: 'db:53' }), /is a name/);
    await assert.rejects(add({ protocol: 'udp', target: '10.0.0.1:53', proxy_protocol: 'v1' }), /has no UDP/);
    await assert.rejects(add({ protocol: 'udp', target: '10.0.0.1:53', idle_timeout: 0 }), /need an idle time/);
    await assert.rejects(add({ target: '10.0.0.1:5432', hostname: 'db' }), /not both/);
    await assert.rejects(add({ target: '0x7f000001:80' }), /is no target/);
    await assert.rejects(add({ hostname: 'a b' }), /is not a valid host name/);
    await assert.rejects(add({ allow: ['10.0.0.1/8'] }), /is no address or prefix/);
    assert.equal(tunnel.accountTag, account.account);
  });

  it('says so where the edge gives out none', async t => {
    const { add } = await openWorld(t, { publicPorts: [] });
    await assert.rejects(add(), /gives out no public ports: its operator allows them/);
  });
});

it('listens no more on a port that the operator took out of the ranges', async t => {
  const first = await openWorld(t);
  const { port } = await first.add();
  await first.world.edge.stop();
  await listen(t, createServer());
  const world = await EdgeWorld.open(t, { publicPorts: [], stateDir: first.world.stateDir });
  await until('the warning', () => world.lines.some(line => String(line.message).includes('outside the ranges')));
  const socket = connect({ port, host: '127.0.0.1' });
  const [error] = (await within('a refusal', once(socket, 'error'))) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNREFUSED');
});
