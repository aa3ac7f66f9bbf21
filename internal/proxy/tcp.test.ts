import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import type { Answer } from 'dns-packet';
import { openTestDns } from '../../test/support/dns-server.ts';
import { listenRaw } from '../../test/support/origin-server.ts';
import { createConfig, httpService, TestProxy } from '../../test/support/proxied.ts';
import { until, within } from '../../test/support/wait.ts';
import { formatIpPort } from '../net/address/host-port.ts';
import { parseTarget } from '../origin/dial/dial.ts';
import { FlowLimiter } from './flow-limiter.ts';

async function tcpProxy(t: TestContext, maxActiveFlows = 0, limiter = new FlowLimiter()): Promise<TestProxy> {
  const test = new TestProxy({ limiter });
  await test.proxy.swap(createConfig([{ service: httpService(9) }], maxActiveFlows));
  t.after(() => test.close());
  return test;
}

const tcp = (port: number, host = '127.0.0.1') =>
  ({ kind: 'tcp', host: `${host}:${port}`, path: '/', bodyLength: -1 }) as const;

/** Bytes that differ at every position, so that loss and disorder show. */
function pattern(bytes: number): Buffer {
  const out = Buffer.alloc(bytes);
  for (let index = 0; index + 4 <= bytes; index += 4) out.writeUInt32LE(index, index);
  return out;
}

describe('private TCP', () => {
  it('answers after the dial and joins both directions', async t => {
    const port = await listenRaw(t, socket => socket.pipe(socket));
    const test = await tcpProxy(t);
    const incoming = test.request(tcp(port));
    const answer = await incoming.response;
    assert.deepEqual([answer.status, answer.headers], [200, []]);
    const sent = pattern(3_000_000);
    incoming.edge.end(sent);
    assert.ok(sent.equals(await within('the echo', incoming.bytes())));
    await until('the stream to close', () => incoming.body.destroyed);
  });

  it('gives the WebSocket accept headers where a key was sent', async t => {
    const port = await listenRaw(t, socket => socket.pipe(socket));
    const test = await tcpProxy(t);
    const incoming = test.request({ ...tcp(port), headers: ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='] });
    const { headers } = await incoming.response;
    assert.deepEqual(headers.slice(2, 4), ['Sec-Websocket-Accept', 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=']);
    incoming.vanish();
  });

  it('resolves names at the resolvers that were named', async t => {
    const port = await listenRaw(t, socket => socket.end('inside'));
    const records = new Map<string, Answer[]>([
      ['A db.inside.test', [{ type: 'A', name: 'db.inside.test', ttl: 1, data: '127.0.0.1' }]],
    ]);
    const dns = await openTestDns({ records });
    t.after(() => dns.close());
    const test = new TestProxy({ resolvers: [{ address: Uint8Array.of(127, 0, 0, 1), port: dns.port }] });
    await test.proxy.swap(createConfig([{ service: httpService(9) }]));
    t.after(() => test.close());
    const incoming = test.request(tcp(port, 'db.inside.test'));
    assert.equal((await incoming.response).status, 200);
    assert.equal(String(await within('the bytes', incoming.bytes())), 'inside');
    await assert.rejects(test.request(tcp(port, 'gone.inside.test')).response, /ENOTFOUND/);
    assert.ok(dns.seen.includes('udp A gone.inside.test'), String(dns.seen));
  });

  for (const first of ['visitor', 'origin'] as const) {
    it(`loses nothing when the ${first} half-closes first`, async t => {
      const early = pattern(500_000);
      const late = pattern(2_000_000);
      let received: Buffer = Buffer.alloc(0);
      const { promise: originSawAll, resolve } = Promise.withResolvers<void>();
      const port = await listenRaw(t, socket => {
        socket.on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk])));
        socket.on('end', () => {
          if (first === 'visitor') socket.end(late);
          resolve();
        });
        if (first === 'origin') socket.end(early);
      });
      const test = await tcpProxy(t);
      const incoming = test.request(tcp(port));
      await incoming.response;
      if (first === 'visitor') {
        incoming.edge.end(early);
        await originSawAll;
        assert.ok(early.equals(received));
        assert.ok(late.equals(await within('what came after', incoming.bytes())));
      } else {
        assert.ok(early.equals(await within('what the origin sent', incoming.bytes())));
        incoming.edge.end(late);
        await within('the end of the visitor', originSawAll);
        assert.ok(late.equals(received));
      }
      await until('the stream to close', () => incoming.body.destroyed);
    });
  }

  it('takes each side down when the other breaks', async t => {
    const sockets: Socket[] = [];
    const port = await listenRaw(t, socket => void sockets.push(socket.resume()));
    const test = await tcpProxy(t);
    const one = test.request(tcp(port));
    await one.response;
    await until('the first connection', () => sockets.length === 1);
    sockets[0]?.resetAndDestroy();
    await until('the stream to be reset', () => one.edge.destroyed);
    assert.notEqual(one.edge.errored, null);

    const two = test.request(tcp(port));
    await two.response;
    await until('the second connection', () => sockets.length === 2);
    two.vanish();
    await until('the origin connection to close', () => sockets[1]?.destroyed === true, 1000);
    assert.equal((sockets[1]?.errored as NodeJS.ErrnoException | null)?.code, 'ECONNRESET');
  });

  it('stops the origin when the visitor does not read', async t => {
    let written = 0;
    const chunk = Buffer.alloc(64 * 1024);
    const port = await listenRaw(t, socket => {
      const more = (): void => {
        while (written < 256 << 20) {
          written += chunk.length;
          if (!socket.write(chunk)) break;
        }
      };
      socket.on('drain', more);
      more();
    });
    const test = await tcpProxy(t);
    const incoming = test.request(tcp(port));
    await incoming.response;
    let before = -1;
    await until('the origin to stop', () => {
      const still = written === before;
      before = written;
      return still;
    });
    assert.ok(written < 32 << 20, `${written} bytes taken from the origin`);
    incoming.vanish();
  });

  it('refuses when nothing listens, and what is no destination', async t => {
    const test = await tcpProxy(t);
    const incoming = test.request(tcp(1));
    await assert.rejects(incoming.response, /unable to dial tcp to origin 127\.0\.0\.1:1: .*ECONNREFUSED/);
    assert.deepEqual(
      test.lines.filter(line => line.level === 'error').map(line => line.hop),
      ['connect'],
    );
    for (const host of [
      '',
      '10.0.0.1',
      '10.0.0.1:0',
      '10.0.0.1:65536',
      'fd00::1:22',
      '[10.0.0.1:22',
      'a b:22',
      '[fe80::1%lo]:22',
    ])
      await assert.rejects(test.request({ ...tcp(1), host }).response, /want IP:port/, host);
    assert.deepEqual(parseTarget('[fd00::1]:22'), { kind: 'tcp', host: 'fd00::1', port: 22 });
    assert.deepEqual(parseTarget('db.internal:5432'), { kind: 'tcp', host: 'db.internal', port: 5432 });
  });

  it('dials only what is allowed, also where a name leads to it', async t => {
    const port = await listenRaw(t, socket => socket.end('reached'));
    const asked: string[] = [];
    let isAllowed = false;
    const test = new TestProxy({
      allowPrivate: (address, at) => {
        asked.push(formatIpPort(address, at));
        return isAllowed && address.length === 4;
      },
    });
    await test.proxy.swap(createConfig([{ service: httpService(9) }]));
    t.after(() => test.close());
    for (const host of ['127.0.0.1', 'localhost', '127.1', '[::ffff:127.0.0.1]', '[::1]'])
      await assert.rejects(test.request(tcp(port, host)).response, /not allowed here/, host);
    assert.ok(asked.includes(`127.0.0.1:${port}`) && asked.includes(`[::1]:${port}`), asked.join(' '));
    const gone = test.request(tcp(port));
    gone.vanish();
    isAllowed = true;
    // Of the addresses of a name only those that are allowed.
    const allowed = test.request(tcp(port, 'localhost'));
    assert.equal((await allowed.response).status, 200);
    assert.equal(String(await within('the answer', allowed.bytes())), 'reached');
    allowed.vanish();
  });

  it('takes the virtual DNS address to a given resolver, which the policy is not asked about', async t => {
    const port = await listenRaw(t, socket => socket.end('an answer'));
    const test = new TestProxy({
      allowPrivate: () => false,
      resolvers: [{ address: Uint8Array.of(127, 0, 0, 1), port }],
    });
    await test.proxy.swap(createConfig([{ service: httpService(9) }]));
    t.after(() => test.close());
    const incoming = test.request(tcp(53, '[2606:4700:cf1:2000::1]'));
    assert.equal((await incoming.response).status, 200);
    assert.equal(String(await within('the answer', incoming.bytes())), 'an answer');
    incoming.vanish();
    await assert.rejects(test.request(tcp(54, '[2606:4700:cf1:2000::1]')).response, /not allowed here/);
  });

  it('keeps to the flow limit, which a swap changes for flows to come', async t => {
    const port = await listenRaw(t, socket => socket.pipe(socket));
    const limiter = new FlowLimiter();
    const test = await tcpProxy(t, 2, limiter);
    const flows = [test.request(tcp(port)), test.request(tcp(port))];
    await Promise.all(flows.map(flow => flow.response));
    const refused = test.request(tcp(port));
    await assert.rejects(refused.response, /too many active flows/);
    assert.deepEqual(refused.refusal, { message: 'too many active flows', rateLimited: true });
    flows[0]?.vanish();
    await until('a place', () => limiter.active === 1);
    const next = test.request(tcp(port));
    assert.equal((await next.response).status, 200);
    await test.proxy.swap(createConfig([{ service: httpService(9) }], 1));
    await assert.rejects(test.request(tcp(port)).response, /too many active flows/);
    await test.proxy.swap(createConfig([{ service: httpService(9) }], 0));
    const unlimited = test.request(tcp(port));
    assert.equal((await unlimited.response).status, 200);
    for (const flow of [...flows, next, unlimited]) flow.vanish();
    await until('every place to be free', () => limiter.active === 0);
  });
});
