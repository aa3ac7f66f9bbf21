// What a hostile visitor may send over HTTP/2: requests that would be read differently further on, header bombs, floods.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2, type OutgoingHttpHeaders } from 'node:http2';
import { describe, it, type TestContext } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { type EdgeWorld, openWorld } from '../../test/support/edge-world.ts';
import { listen } from '../../test/support/origin-server.ts';
import { RawVisitor } from '../../test/support/raw-visitor.ts';
import { until } from '../../test/support/wait.ts';

const name = 'app.example.test';

function tlsTo(t: TestContext, world: EdgeWorld): TLSSocket {
  const socket = connect({
    ...{ port: world.httpsPort, host: '127.0.0.1', ca: world.edge.caPem, servername: name, ALPNProtocols: ['h2'] },
  });
  socket.on('error', () => undefined);
  t.after(() => socket.destroy());
  return socket;
}

function visit(t: TestContext, world: EdgeWorld): ClientHttp2Session {
  const session = connectHttp2(`https://${name}`, {
    createConnection: () => tlsTo(t, world),
    maxSendHeaderBlockLength: 1 << 24,
  });
  session.on('error', () => undefined);
  t.after(() => session.destroy());
  return session;
}

/** The status, or 'reset' when the stream or the session ended without one. */
function ask(session: ClientHttp2Session, headers: OutgoingHttpHeaders | readonly string[]): Promise<number | 'reset'> {
  return new Promise(resolve => {
    const stream = session.request(headers);
    stream.on('error', () => undefined);
    stream.once('response', received => {
      stream.resume();
      resolve(received[':status'] ?? 'reset');
    });
    stream.once('close', () => resolve('reset'));
  });
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

const preface = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0, Buffer.alloc(0))]);
/** `GET / https`, and an authority that is not put into the table (RFC 7541). */
const block = Buffer.concat([Buffer.from([0x82, 0x87, 0x84, 0x01, name.length]), Buffer.from(name)]);

async function openTarget(t: TestContext) {
  const seen: IncomingMessage[] = [];
  const origin = await listen(
    t,
    createServer((message, response) => {
      seen.push(message);
      message.resume();
      response.end('ok');
    }),
  );
  const { world } = await openWorld(t, origin);
  const check = async (): Promise<void> => {
    const session = visit(t, world);
    assert.equal(await ask(session, { ':path': '/after', ':authority': name }), 200);
    assert.equal(seen.filter(message => message.url === '/after').length, 1);
    session.destroy();
  };
  return { world, seen, check };
}

const head = [':method', 'GET', ':scheme', 'https', ':authority', name, ':path'];

describe('a visitor over HTTP/2 that attacks', () => {
  it('is refused what an HTTP/1.1 hop could read as something else', async t => {
    const { world, seen, check } = await openTarget(t);
    const cases: readonly (readonly [string, readonly string[]])[] = [
      ['a line end in the path', [...head, '/x HTTP/1.1\r\nHost: a\r\n\r\nGET /smuggled']],
      ['a space in the path', [...head, '/x y']],
      ['a fragment', [...head, '/x#y']],
      ['no slash', [...head, 'x']],
      ['another host than the authority', [...head, '/x', 'host', 'other.example.test']],
      ['an authority with a user', [':method', 'GET', ':scheme', 'https', ':authority', `u@${name}`, ':path', '/x']],
      ['an authority with a path', [':method', 'GET', ':scheme', 'https', ':authority', `${name}/y`, ':path', '/x']],
      [
        'a line end in a method',
        [':method', 'GET / HTTP/1.1\r\nX: ', ':scheme', 'https', ':authority', name, ':path', '/x'],
      ],
      ['a length that does not fit', [...head, '/x', 'content-length', '5']],
    ];
    for (const [what, headers] of cases) {
      const session = visit(t, world);
      let status: number | 'reset';
      try {
        status = await ask(session, headers);
      } catch {
        // The client's own library refuses to send some of them.
        status = 'reset';
      }
      assert.ok(status === 'reset' || status === 400, `${what}: ${status}`);
      session.destroy();
    }
    assert.ok(
      seen.length === 0 || seen.every(message => !message.complete),
      JSON.stringify(seen.map(message => message.url)),
    );
    // nghttp2 leaves out what cannot be a value; the rest of the request is sound.
    const status = await ask(visit(t, world), [...head, '/left-out', 'x', 'a\r\nX-Injected: b']);
    assert.ok(status === 200 || status === 'reset');
    assert.ok(!seen.some(message => 'x' in message.headers || 'x-injected' in message.headers));
    await check();
  });

  it('cannot speak to the connector or pass for another', async t => {
    const { world, seen } = await openTarget(t);
    const status = await ask(visit(t, world), {
      ':path': '/x',
      ':authority': name,
      'cf-cloudflared-proxy-connection-upgrade': 'control-stream',
      'cf-cloudflared-proxy-src': 'x',
      'cf-connecting-ip': '9.9.9.9',
      cookie: ['a=1', 'b=2'],
    });
    assert.equal(status, 200);
    const [{ headers } = assert.fail('nothing arrived')] = seen;
    assert.deepEqual([headers['cf-connecting-ip'], headers.cookie], ['127.0.0.1', 'a=1; b=2']);
    assert.ok(!Object.keys(headers).some(key => key.startsWith('cf-cloudflared-')));
  });

  it('may cancel all it asked for, and ask for as much again at once', async t => {
    const origin = await listen(
      t,
      createServer((message, response) => {
        if (message.url === '/new') response.end('ok');
      }),
    );
    const { world } = await openWorld(t, origin);
    const session = visit(t, world);
    for (let round = 0; round < 3; round += 1) {
      const old = Array.from({ length: 100 }, () => {
        const stream = session.request({ ':path': '/old', ':authority': name });
        return stream.on('error', () => undefined);
      });
      await until('all requests', () => world.edge.registry.all()[0]?.connection.openStreams === 100);
      for (const stream of old) stream.close(8);
      const answers = await Promise.all(old.map(() => ask(session, { ':path': '/new', ':authority': name })));
      assert.deepEqual(
        answers.filter(status => status !== 200),
        [],
      );
      await until('the end of them', () => world.edge.registry.all()[0]?.connection.openStreams === 0);
    }
  });

  it('with a header bomb pays for it alone', { timeout: 60_000 }, async t => {
    const { world, check } = await openTarget(t);
    const before = process.memoryUsage.rss();
    for (let round = 0; round < 5; round += 1) {
      // Some kilobytes on the wire, by references to one entry of the table; tens of megabytes when unpacked.
      const bomb = {
        ':path': '/bomb',
        ':authority': name,
        'x-bomb': Array.from({ length: 10_000 }, () => 'y'.repeat(3_000)),
      };
      const status = await ask(visit(t, world), bomb);
      assert.ok(status === 'reset' || status === 431, String(status));
    }
    assert.ok(process.memoryUsage.rss() - before < 256 << 20);
    await check();
  });

  it('floods with settings, pings or empty frames and is cut off', { timeout: 60_000 }, async t => {
    const { world, check } = await openTarget(t);
    const floods = { settings: frame(4, 0, 0, Buffer.alloc(0)), ping: frame(6, 0, 0, Buffer.alloc(8)) };
    for (const [what, flood] of Object.entries(floods)) {
      const socket = tlsTo(t, world);
      // Never reads: every answer must be kept, or the connection ended.
      socket.pause();
      socket.write(preface);
      const batch = Buffer.concat(Array.from({ length: 10_000 }, () => flood));
      let writes = 0;
      const push = (): void => {
        while (!socket.destroyed && writes < 200) {
          writes += 1;
          if (!socket.write(batch)) {
            socket.once('drain', push);
            return;
          }
        }
      };
      const before = process.memoryUsage.rss();
      push();
      // Cut off, or simply not read any further: either way nothing piles up.
      await until(`${what}: an end or a stall`, async () => {
        const last = socket.bytesWritten;
        await new Promise(resolve => setTimeout(resolve, 500));
        return socket.closed || socket.destroyed || socket.bytesWritten === last;
      });
      assert.ok(process.memoryUsage.rss() - before < 128 << 20, what);
      socket.destroy();
    }
    await check();
  });

  /** One entry of 1,000 bytes in the table, and 8,000 references to it. */
  const bomb = Buffer.concat([
    block,
    Buffer.from([0x40, 1, 0x78, 0x7f, 0xe9, 0x06]),
    Buffer.alloc(1_000, 0x79),
    Buffer.alloc(8_000, 0xbe),
  ]);
  const floods: Readonly<Record<string, (round: number) => Buffer>> = {
    'requests that it cancels at once': round => {
      const pairs = Array.from({ length: 50 }, (_, index) => {
        const id = (round * 50 + index) * 2 + 1;
        return [frame(1, 5, id, block), frame(3, 0, id, Buffer.from([0, 0, 0, 8]))];
      });
      return Buffer.concat(pairs.flat());
    },
    'window updates': () =>
      Buffer.concat(Array.from({ length: 2_000 }, () => frame(8, 0, 0, Buffer.from([0, 0, 0, 1])))),
    'heads that unpack to megabytes': round => frame(1, 5, round * 2 + 1, bomb),
  };
  for (const [what, make] of Object.entries(floods)) {
    it(`floods with ${what} and is cut off, which its neighbours over HTTP/1.1 do not notice`, async t => {
      const { world } = await openTarget(t);
      let ended = 0;
      // The fifth is refused at once.
      for (let flood = 0; flood < 5; flood += 1) {
        const socket = tlsTo(t, world);
        socket.once('close', () => (ended += 1)).resume();
        socket.write(preface);
        let round = 0;
        const push = (): void => {
          while (!socket.destroyed && round < 2_000) {
            round += 1;
            if (socket.write(make(round - 1))) continue;
            socket.once('drain', push);
            return;
          }
        };
        push();
        await until('the end of the session', () => ended === flood + 1);
      }
      assert.equal(await ask(visit(t, world), { ':path': '/', ':authority': name }), 'reset');
      const neighbour = await RawVisitor.open(t, world.httpPort);
      neighbour.send(`GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
      await neighbour.sees('200 OK');
    });
  }
});

describe('a visitor over HTTP/2 that is busy', () => {
  it('is not taken for a flood: many requests with large heads, bodies both ways in small pieces', async t => {
    const origin = await listen(
      t,
      createServer((message, response) => void message.pipe(response)),
    );
    const { world } = await openWorld(t, origin);
    const session = visit(t, world);
    let left = 1_000;
    const worker = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        assert.equal(
          await ask(session, {
            ':path': '/',
            ':authority': name,
            cookie: `a=${randomBytes(4_500).toString('base64')}`,
          }),
          200,
        );
      }
    };
    await Promise.all(Array.from({ length: 50 }, worker));
    const stream = session.request({ ':method': 'POST', ':path': '/', ':authority': name });
    let received = 0;
    stream.on('data', (chunk: Buffer) => (received += chunk.length));
    const piece = Buffer.alloc(100);
    for (let sent = 0; sent < 20_000; sent += 1) if (!stream.write(piece)) await once(stream, 'drain');
    for (let sent = 0; sent < 32; sent += 1) if (!stream.write(Buffer.alloc(1 << 20))) await once(stream, 'drain');
    stream.end();
    await until('all of it', () => received === 20_000 * 100 + (32 << 20));
    assert.ok(!session.destroyed);
  });
});
