// What connectors answer, or fail to: hostile answers never reach the visitor's framing, and a request is made again where
// nothing of it was lost.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { describe, it } from 'node:test';
import { registerBare } from '../../test/support/bare-connector.ts';
import { EdgeWorld, openWorld } from '../../test/support/edge-world.ts';
import { listen } from '../../test/support/origin-server.ts';
import { RawVisitor } from '../../test/support/raw-visitor.ts';
import { until } from '../../test/support/wait.ts';
import { PosternError } from '../errors/error.ts';
import type { IncomingStream } from '../transport/transport.ts';

const name = 'app.example.test';
const get = `GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`;
const lost = new PosternError('connection.lost', 'killed by the test');

function answer(status: number, headers: readonly string[], body: string, trailers: readonly string[] = []) {
  return (incoming: IncomingStream): void => {
    incoming.body.on('error', () => undefined).resume();
    incoming.respond({ status, headers });
    incoming.trailers(trailers);
    incoming.body.end(body);
  };
}

const injected = 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\ninjected';

describe('a connector that answers badly', () => {
  const cases: readonly (readonly [string, number, readonly string[], string])[] = [
    ['a line end in a value', 200, ['x', `a\r\nContent-Length: 0\r\n\r\n${injected}`], ''],
    ['a NUL in a value', 200, ['x', 'a\0b'], ''],
    ['a line end in a name', 200, ['x\r\ny', 'a'], ''],
    ['no name', 200, ['', 'a'], ''],
    ['two lengths', 200, ['Content-Length', '0', 'content-length', '5'], 'hello'],
    ['a length that is no number', 200, ['X', '1', 'Content-Length', '-5'], 'hello'],
    ['an interim status', 103, ['link', '</x>'], ''],
  ];
  it('costs its visitor a 502, and nobody else anything', async t => {
    const world = await EdgeWorld.open(t);
    for (const [what, status, headers, body] of cases) {
      const tunnel = await world.makeTunnel(`c${cases.findIndex(one => one[0] === what)}.example.test`);
      await registerBare(t, world, tunnel, incoming => {
        try {
          answer(status, headers, body)(incoming);
        } catch {
          // Our own end refuses to send some of them.
          incoming.reset();
        }
      });
      const visitor = await RawVisitor.open(t, world.httpPort);
      visitor.send(get.replace(name, tunnel.host));
      await visitor.answered();
      assert.deepEqual(visitor.statuses, [502], `${what}: ${visitor.text}`);
      assert.ok(!visitor.text.includes('injected'), what);
      visitor.socket.destroy();
    }
    await until('the end of all streams', () =>
      world.edge.registry.all().every(one => one.connection.openStreams === 0),
    );
  });

  it('cannot put lines into the head of an upgrade', async t => {
    const world = await EdgeWorld.open(t);
    const bad = [
      ['x', `a\r\n\r\n${injected}`],
      [`x: a\r\n\r\n${injected}`, 'a'],
      ['x\ny', 'a'],
    ];
    for (const [index, headers] of bad.entries()) {
      const tunnel = await world.makeTunnel(`u${index}.example.test`);
      await registerBare(t, world, tunnel, incoming => {
        incoming.body.on('error', () => undefined).resume();
        incoming.respond({ status: 101, headers: ['Sec-WebSocket-Accept', 'x', ...headers] });
      });
      const visitor = await RawVisitor.open(t, world.httpPort);
      visitor.send(
        `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n`,
      );
      await visitor.answered();
      assert.deepEqual(visitor.statuses, [502], visitor.text);
    }
  });

  it('with more or less than the announced length breaks the answer off', async t => {
    const world = await EdgeWorld.open(t);
    // A transfer coding hides nothing: it is not the origin's to announce.
    for (const [host, length, body] of [
      ['more.example.test', '2', `ok${injected}`],
      ['less.example.test', '20', 'too little'],
    ] as const) {
      const tunnel = await world.makeTunnel(host);
      await registerBare(
        t,
        world,
        tunnel,
        answer(200, ['content-Length', length, 'transfer-encoding', 'identity'], body),
      );
      const visitor = await RawVisitor.open(t, world.httpPort);
      visitor.send(get.replace(name, host));
      await until('the end of the connection', () => visitor.closed || visitor.socket.readableEnded);
      assert.ok(!visitor.text.includes('injected'), visitor.text);
      assert.ok(!visitor.text.toLowerCase().includes('transfer-encoding'));
    }
  });

  it('cannot say which hop failed, but of itself', async t => {
    for (const [hop, shown] of Object.entries({ edge: false, origin: false, connector: true })) {
      const world = await EdgeWorld.open(t);
      const tunnel = await world.makeTunnel();
      await registerBare(t, world, tunnel, answer(500, ['postern-failed-hop', hop, 'Content-Length', '4'], 'body'));
      const visitor = await RawVisitor.open(t, world.httpPort);
      visitor.send(get);
      await visitor.sees('body');
      assert.equal(/postern-failed-hop/i.test(visitor.text), shown, visitor.text);
    }
  });

  it('cannot frame or route by trailers', async t => {
    const world = await EdgeWorld.open(t);
    const tunnel = await world.makeTunnel();
    await registerBare(t, world, tunnel, answer(200, [], 'body', ['content-length', '4', 'x-sum', '1', 'x-sum', '2']));
    const visitor = await RawVisitor.open(t, world.httpPort);
    visitor.send(get);
    await visitor.sees(/0\r\n[\s\S]*x-sum: 1\r\nx-sum: 2\r\n\r\n$/);
    assert.ok(!visitor.text.toLowerCase().includes('content-length'));
  });

  it('resets one request: it is made elsewhere if the method allows, and fails at once where there is nobody else', async t => {
    const world = await EdgeWorld.open(t);
    const tunnel = await world.makeTunnel();
    let resets = 0;
    await registerBare(t, world, tunnel, incoming => {
      resets += 1;
      incoming.reset();
    });
    const started = performance.now();
    const alone = await RawVisitor.open(t, world.httpPort);
    alone.send(get);
    await alone.sees('Postern-Failed-Hop: connector');
    assert.deepEqual([resets, alone.statuses], [1, [502]]);
    assert.ok(performance.now() - started < 2_500);
    let served = 0;
    await registerBare(t, world, tunnel, incoming => {
      served += 1;
      answer(200, ['content-length', '2'], 'ok')(incoming);
    });
    for (let round = 0; round < 4; round += 1) {
      const visitor = await RawVisitor.open(t, world.httpPort);
      visitor.send(get);
      await visitor.sees('ok');
      assert.deepEqual(visitor.statuses, [200]);
    }
    assert.equal(served, 4);
    assert.ok(resets > 1);
    const posts = await Promise.all(
      Array.from({ length: 2 }, async () => {
        const visitor = await RawVisitor.open(t, world.httpPort);
        visitor.send(`POST / HTTP/1.1\r\nHost: ${name}\r\nContent-Length: 2\r\n\r\nhi`);
        await visitor.answered();
        return visitor.statuses[0];
      }),
    );
    assert.ok(posts.includes(502), `a request with a body is not made twice: ${posts}`);
  });
});

describe('a connector that loses connections', () => {
  it('serves every GET of a burst while one of its four dies, again and again', { timeout: 60_000 }, async t => {
    const origin = await listen(
      t,
      createServer((_message, response) => setImmediate(() => response.end('ok'))),
    );
    const { world } = await openWorld(t, origin, { tunnel: { haConnections: 4 } });
    const agent = new Agent({ keepAlive: true, maxSockets: 40 });
    t.after(() => agent.destroy());
    const ask = (): Promise<number> =>
      new Promise((resolve, reject) => {
        const call = request({ port: world.httpPort, headers: { host: name }, agent }, response => {
          response.resume().once('end', () => resolve(response.statusCode ?? 0));
        });
        call.once('error', reject).end();
      });
    const statuses = new Map<number, number>();
    for (let round = 0; round < 10; round += 1) {
      const burst = Array.from({ length: 100 }, ask);
      await burst[10];
      world.edge.registry.all()[round % 4]?.connection.abort(lost);
      for (const status of await Promise.all(burst)) statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    assert.deepEqual([...statuses], [[200, 1_000]]);
  });

  it('is not called absent to who had a request at the one that is gone, while another is there', async t => {
    const world = await EdgeWorld.open(t);
    const tunnel = await world.makeTunnel();
    const arrived = Promise.withResolvers<void>();
    for (let index = 0; index < 2; index += 1) await registerBare(t, world, tunnel, () => arrived.resolve());
    const visitor = await RawVisitor.open(t, world.httpPort);
    visitor.send(`POST / HTTP/1.1\r\nHost: ${name}\r\nContent-Length: 2\r\n\r\nhi`);
    await arrived.promise;
    const busy = world.edge.registry.all().find(({ connection }) => connection.openStreams > 0);
    busy?.connection.abort(lost);
    await visitor.sees('lost before it answered. The origin may have acted on it.');
    assert.deepEqual(visitor.statuses, [502]);
    assert.equal(world.edge.registry.all().length, 1);
  });

  it('is waited for when it lost its only one', async t => {
    const origin = await listen(
      t,
      createServer((_message, response) => response.end('ok')),
    );
    const { world } = await openWorld(t, origin);
    for (let round = 0; round < 3; round += 1) {
      const [only] = world.edge.registry.all();
      const visitor = await RawVisitor.open(t, world.httpPort);
      only?.connection.abort(lost);
      visitor.send(get);
      await visitor.answered();
      assert.deepEqual(visitor.statuses, [200]);
    }
  });
});

describe('an edge that stops', () => {
  it('serves requests that come on open connections until their visitors can know', { timeout: 60_000 }, async t => {
    const arrived: (() => void)[] = [];
    const origin = await listen(
      t,
      createServer((message, response) => {
        if (message.url === '/slow') arrived.push(() => void response.end('slow'));
        else response.end('ok');
      }),
    );
    const { world } = await openWorld(t, origin, { edge: { gracePeriodMs: 10_000 } });
    const open = async (path: string): Promise<RawVisitor> => {
      const visitor = await RawVisitor.open(t, world.httpPort);
      visitor.send(get.replace('/', path));
      return visitor;
    };
    const slow = await open('/slow');
    await until('the slow request', () => arrived.length === 1);
    // Their heads are on the way when the edge begins to stop.
    const late = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const visitor = await RawVisitor.open(t, world.httpPort);
        visitor.send(get.slice(0, 20));
        return visitor;
      }),
    );
    const other = await open('/');
    await other.sees('ok');
    const stopped = world.edge.stop();
    for (const visitor of late) visitor.send(get.slice(20));
    for (const visitor of late) await visitor.sees('ok');
    for (const finish of arrived) finish();
    await slow.sees('slow');
    await stopped;
    assert.deepEqual(
      late.map(visitor => visitor.statuses),
      late.map(() => [200]),
    );
  });
});

describe('bytes from 0x80 up in a header', () => {
  const allBytes = Buffer.from([0x09, ...Array.from({ length: 0x5f }, (_, i) => 0x20 + i), ...range(0x80, 0xff)]);
  // Field values end and begin with something visible.
  const value = `|${allBytes.toString('latin1')}|`;
  const disposition = `attachment; filename="${Buffer.from('résumé-日本.pdf').toString('latin1')}"`;
  const odd = ['X-Bytes', value, 'Content-Disposition', disposition];
  const shapes: Readonly<Record<string, readonly [headers: readonly string[], body: string]>> = {
    'a length first': [['Content-Length', '5', ...odd], 'hello'],
    'a length last': [[...odd, 'Content-Length', '5'], 'hello'],
    'a body of unknown length': [odd, 'hello'],
    'no body': [['Content-Length', '0', ...odd], ''],
  };
  function range(from: number, to: number): number[] {
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  }

  it('reach a visitor over HTTP/1.1 as they are, and the origin too', async t => {
    const world = await EdgeWorld.open(t);
    for (const [index, [what, [headers, body]]] of Object.entries(shapes).entries()) {
      const tunnel = await world.makeTunnel(`b${index}.example.test`);
      let asked: readonly string[] = [];
      await registerBare(t, world, tunnel, incoming => {
        asked = incoming.head.headers;
        answer(200, headers, incoming.head.method === 'HEAD' ? '' : body)(incoming);
      });
      for (const method of ['GET', 'HEAD']) {
        const visitor = await RawVisitor.open(t, world.httpPort);
        visitor.send(`${method} / HTTP/1.1\r\nHost: ${tunnel.host}\r\nX-Sent: ${value}\r\n\r\n`);
        await visitor.sees('\r\n\r\n');
        assert.ok(visitor.text.includes(`X-Bytes: ${value}\r\n`), `${method}, ${what}`);
        assert.ok(visitor.text.includes(`Content-Disposition: ${disposition}\r\n`), `${method}, ${what}`);
        assert.equal(asked[asked.findIndex(name => name.toLowerCase() === 'x-sent') + 1], value);
        visitor.socket.destroy();
      }
    }
  });

  it('reach a visitor over HTTP/2 as they are, and the origin too', async t => {
    const world = await EdgeWorld.open(t);
    const tunnel = await world.makeTunnel('h2.example.test');
    let asked: readonly string[] = [];
    await registerBare(t, world, tunnel, incoming => {
      asked = incoming.head.headers;
      answer(200, ['Content-Length', '5', ...odd], 'hello')(incoming);
    });
    const session = connectHttp2(`https://127.0.0.1:${world.httpsPort}`, {
      ca: world.edge.caPem,
      servername: tunnel.host,
    });
    t.after(() => session.destroy());
    const stream = session.request({ ':authority': tunnel.host, 'x-sent': value });
    const [headers] = (await once(stream, 'response')) as [Record<string, string>];
    stream.resume();
    assert.equal(headers['x-bytes'], value);
    assert.equal(headers['content-disposition'], disposition);
    assert.equal(asked[asked.findIndex(name => name.toLowerCase() === 'x-sent') + 1], value);
  });

  it('reach a visitor in the head of an upgrade', async t => {
    const world = await EdgeWorld.open(t);
    const tunnel = await world.makeTunnel('ws.example.test');
    await registerBare(t, world, tunnel, answer(101, ['Upgrade', 'websocket', ...odd], ''));
    const visitor = await RawVisitor.open(t, world.httpPort);
    visitor.send(
      `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    );
    await visitor.sees('\r\n\r\n');
    assert.match(visitor.text, /^HTTP\/1\.1 101 /);
    assert.ok(visitor.text.includes(`X-Bytes: ${value}\r\n`), visitor.text);
  });
});

describe('a large head of an answer', () => {
  it('reaches a visitor over HTTP/2 who takes it, and is a 502 for one who does not', async t => {
    const origin = createServer((_message, response) => {
      for (const index of [1, 2, 3, 4]) response.setHeader(`x-${index}`, 'v'.repeat(30_000));
      response.end('ok');
    });
    const { world, tunnel } = await openWorld(t, await listen(t, origin), { protocol: 'quic' });
    for (const [maxHeaderListSize, status] of [
      [1 << 20, 200],
      [16_384, 502],
    ] as const) {
      const session = connectHttp2(`https://127.0.0.1:${world.httpsPort}`, {
        ca: world.edge.caPem,
        servername: tunnel.host,
        settings: { maxHeaderListSize },
      });
      t.after(() => session.destroy());
      // The second request shows that the session lives on.
      for (let round = 0; round < 2; round += 1) {
        const stream = session.request({ ':authority': tunnel.host });
        const [headers] = (await once(stream, 'response')) as [Record<string, number>];
        stream.resume();
        assert.equal(headers[':status'], status);
      }
    }
  });
});
