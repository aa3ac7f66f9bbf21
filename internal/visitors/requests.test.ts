// Requests of visitors through a real edge and a real connector to real origins, over HTTP/1.1 and HTTP/2.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, request, type ServerResponse } from 'node:http';
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  createServer as createHttp2Server,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { type EdgeWorld, openWorld } from '../../test/support/edge-world.ts';
import { listen, listenRaw } from '../../test/support/origin-server.ts';
import { RawVisitor } from '../../test/support/raw-visitor.ts';
import { until, within } from '../../test/support/wait.ts';

const name = 'app.example.test';

async function worldWith(t: TestContext, origin: RequestListener) {
  return openWorld(t, await listen(t, createServer(origin)));
}

function http2Visitor(t: TestContext, world: EdgeWorld): ClientHttp2Session {
  const session = connectHttp2(`https://127.0.0.1:${world.httpsPort}`, {
    ca: world.edge.caPem,
    servername: name,
    settings: { initialWindowSize: 1 << 20 },
  });
  session.on('error', () => undefined);
  t.after(() => session.destroy());
  return session;
}

interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly trailers: Record<string, unknown>;
  readonly body: string;
}

/** One request over HTTP/1.1 or HTTP/2, read to its end. */
type Ask = (method: string, path: string, headers?: Record<string, string>, body?: string) => Promise<Answer>;

function askHttp1(world: EdgeWorld): Ask {
  return (method, path, headers = {}, body) =>
    new Promise((resolve, reject) => {
      const call = request({ port: world.httpPort, method, path, headers: { host: name, ...headers }, agent: false });
      call.once('error', reject);
      call.once('response', response => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            trailers: response.trailers,
            body: Buffer.concat(chunks).toString(),
          }),
        );
      });
      call.end(body);
    });
}

function askHttp2(t: TestContext, world: EdgeWorld): Ask {
  const session = http2Visitor(t, world);
  return (method, path, headers = {}, body) =>
    new Promise((resolve, reject) => {
      const stream = session.request({ ':method': method, ':path': path, ':authority': name, ...headers });
      const chunks: Buffer[] = [];
      let head: Record<string, unknown> = {};
      let trailers: Record<string, unknown> = {};
      let ended = false;
      stream.once('response', received => {
        head = received;
      });
      stream.once('trailers', received => {
        trailers = received;
      });
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.once('end', () => {
        ended = true;
      });
      stream.once('error', reject);
      stream.once('close', () => {
        if (!ended || stream.rstCode !== 0) reject(new Error(`reset with ${stream.rstCode}`));
        else
          resolve({ status: Number(head[':status']), headers: head, trailers, body: Buffer.concat(chunks).toString() });
      });
      stream.end(body);
    });
}

function both(title: string, test: (t: TestContext, ask: (world: EdgeWorld) => Ask) => Promise<void>): void {
  it(`${title}, over HTTP/1.1`, t => test(t, askHttp1));
  it(`${title}, over HTTP/2`, t => test(t, world => askHttp2(t, world)));
}

function readAll(message: IncomingMessage): Promise<string> {
  return new Promise(resolve => {
    const chunks: Buffer[] = [];
    message.on('data', (chunk: Buffer) => chunks.push(chunk));
    message.once('end', () => resolve(Buffer.concat(chunks).toString()));
  });
}

/** Streams that the edge has open to connectors: none may be left over. */
async function untilIdle(world: EdgeWorld): Promise<void> {
  await until('the end of all streams', () => world.edge.registry.all().every(one => one.connection.openStreams === 0));
}

describe('a request of a visitor', () => {
  both('carries bodies both ways, of known and unknown length', async (t, asker) => {
    const { world } = await worldWith(t, async (message, response) => {
      const body = await readAll(message);
      if (message.url === '/chunked') {
        response.write(body);
        response.end('!');
      } else response.end(JSON.stringify({ body, length: message.headers['content-length'] }));
    });
    const ask = asker(world);
    assert.equal((await ask('POST', '/chunked', {}, 'hello')).body, 'hello!');
    const sized = await ask('PUT', '/sized', { 'content-length': '5' }, 'hello');
    assert.deepEqual(JSON.parse(sized.body), { body: 'hello', length: '5' });
    assert.equal(sized.headers['content-length'], String(sized.body.length));
    assert.deepEqual(JSON.parse((await ask('POST', '/empty', { 'content-length': '0' })).body).body, '');
    await untilIdle(world);
  });

  both('gets answers without a body as they are', async (t, asker) => {
    const { world } = await worldWith(t, (message, response) => {
      if (message.url === '/204') response.writeHead(204).end();
      else if (message.url === '/304') response.writeHead(304, { etag: '"x"' }).end();
      else response.writeHead(200, { 'content-length': '1234' }).end();
    });
    const ask = asker(world);
    const head = await ask('HEAD', '/');
    assert.deepEqual([head.status, head.headers['content-length'], head.body], [200, '1234', '']);
    const none = await ask('GET', '/204');
    assert.deepEqual([none.status, none.headers['content-length'], none.body], [204, undefined, '']);
    const same = await ask('GET', '/304');
    assert.deepEqual([same.status, same.headers.etag], [304, '"x"']);
    await untilIdle(world);
  });

  both('gets trailers', async (t, asker) => {
    const { world } = await worldWith(t, (_message, response) => {
      response.writeHead(200, { trailer: 'x-sum, content-length' });
      response.write('body');
      response.addTrailers({ 'x-sum': '42', 'x-more': 'a' });
      response.end();
    });
    const { trailers, body } = await asker(world)('GET', '/', { te: 'trailers' });
    assert.deepEqual([body, trailers['x-sum'], trailers['x-more']], ['body', '42', 'a']);
  });

  both('carries 60 KB of headers, and 40 KB back', async (t, asker) => {
    const { world } = await openWorld(
      t,
      await listen(
        t,
        createServer({ maxHeaderSize: 256 * 1024 }, (message, response) => {
          if (message.url === '/too-large') response.setHeader('x-huge', 'z'.repeat(60_000));
          const given = Object.fromEntries(Object.entries(message.headers).filter(([key]) => /^x-big-\d$/.test(key)));
          response.writeHead(200, given as Record<string, string>).end();
        }),
      ),
    );
    const headers = Object.fromEntries(
      Array.from({ length: 15 }, (_, index) => [`x-big-${index}`, String(index).repeat(4_000).slice(0, 4_000)]),
    );
    const ask: Ask =
      asker === askHttp1
        ? (method, path, given) =>
            new Promise((resolve, reject) => {
              const call = request({
                port: world.httpPort,
                method,
                path,
                headers: { host: name, ...given },
                agent: false,
                maxHeaderSize: 1 << 20,
              });
              call.once('error', reject).once('response', response => {
                response.resume();
                resolve({ status: response.statusCode ?? 0, headers: response.headers, trailers: {}, body: '' });
              });
              call.end();
            })
        : asker(world);
    const answer = await ask('GET', '/', headers);
    assert.equal(answer.status, 200);
    for (let index = 0; index < 10; index += 1)
      assert.equal(answer.headers[`x-big-${index}`], headers[`x-big-${index}`]);
    // Serialised in one header these are more than a peer takes: one request fails, not the connection.
    const before = world.edge.registry.all()[0]?.id;
    assert.equal((await ask('GET', '/too-large')).status, 502);
    assert.equal((await ask('GET', '/', headers)).status, 200);
    assert.equal(world.edge.registry.all()[0]?.id, before);
  });

  both('is told which hop failed', async (t, asker) => {
    const dead = await listenRaw(t, socket => socket.destroy());
    const { world, tunnel } = await openWorld(t, dead, { edge: { returnWaitMs: 500 } });
    const ask = asker(world);
    const failed = await ask('GET', '/');
    assert.deepEqual([failed.status, failed.headers['postern-failed-hop']], [502, 'origin']);
    const unknown = await ask('GET', '/', { [asker === askHttp1 ? 'host' : ':authority']: 'nobody.example.test' });
    assert.deepEqual([unknown.status, unknown.headers['postern-failed-hop']], [404, 'edge']);
    const lonely = await world.makeTunnel('lonely.example.test');
    assert.ok(lonely.id !== tunnel.id);
    const waited = performance.now();
    const gone = await ask('GET', '/', { [asker === askHttp1 ? 'host' : ':authority']: 'lonely.example.test' });
    assert.deepEqual([gone.status, gone.headers['postern-failed-hop']], [502, 'connector']);
    // A connector may be on its way back to an edge that was just started.
    assert.ok(performance.now() - waited > 450);
  });

  both('sees a response that breaks off as broken', async (t, asker) => {
    const { world } = await worldWith(t, (_message, response) => {
      response.write('the beginning');
      setImmediate(() => response.destroy());
    });
    await assert.rejects(asker(world)('GET', '/'));
    await untilIdle(world);
  });

  both('gets an early refusal while it still uploads', async (t, asker) => {
    const { world } = await worldWith(t, (message, response) => {
      message.resume();
      response.writeHead(413).end('too large');
    });
    const answer = await asker(world)('POST', '/', {}, 'x'.repeat(4 << 20));
    assert.deepEqual([answer.status, answer.body], [413, 'too large']);
    await untilIdle(world);
  });

  for (const protocol of ['http2', 'quic'] as const) {
    both(`gets the refusal of an origin that resets its connection, over ${protocol}`, async (t, asker) => {
      const origin = await listenRaw(t, socket => {
        socket
          .on('error', () => undefined)
          .once('data', () => {
            socket.pause();
            // Unread bytes make a close a reset.
            socket.write('HTTP/1.1 413 Large\r\nContent-Length: 9\r\n\r\ntoo large', () => socket.destroy());
          });
      });
      const { world } = await openWorld(t, origin, { protocol });
      const ask = asker(world);
      for (let round = 0; round < 5; round += 1) {
        const answer = await ask('POST', '/', {}, 'x'.repeat(4 << 20));
        assert.deepEqual([answer.status, answer.body], [413, 'too large']);
      }
      await untilIdle(world);
    });
  }

  for (const protocol of ['http2', 'quic'] as const) {
    both(`gets a refusal without a body while it still uploads, over ${protocol}`, async (t, asker) => {
      const origin = await listenRaw(t, socket => {
        socket
          .on('error', () => undefined)
          .once('data', () => {
            socket.pause();
            socket.write('HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n');
          });
      });
      const { world } = await openWorld(t, origin, { protocol });
      const ask = asker(world);
      for (let round = 0; round < 5; round += 1) {
        const answer = await ask('POST', '/', {}, 'x'.repeat(4 << 20));
        assert.equal(answer.status, 401, answer.body);
      }
      await untilIdle(world);
    });

    both(`gets a status that the connector answers by itself while it uploads, over ${protocol}`, async (t, asker) => {
      const { world } = await openWorld(t, 'http_status:403', { protocol });
      const ask = asker(world);
      for (let round = 0; round < 5; round += 1) {
        const answer = await ask('POST', '/', {}, 'x'.repeat(4 << 20));
        assert.equal(answer.status, 403, answer.body);
      }
      await untilIdle(world);
    });

    it(`is logged as broken off only where it was, over ${protocol}`, async t => {
      const origin = createServer((message, response) => {
        message.resume();
        if (message.url === '/endless') response.write('x');
        else if (message.url === '/none') message.on('end', () => response.writeHead(204).end());
        else message.on('end', () => response.end('hello'));
      });
      const { world } = await openWorld(t, await listen(t, origin), { protocol });
      const ask = askHttp1(world);
      const brokenOff = (): number =>
        world.lines.filter(line => line.message === 'Stream closed before its end').length;
      for (let round = 0; round < 5; round += 1) {
        for (const path of ['/', '/none']) {
          await ask('GET', path);
          await ask('POST', path, {}, 'body');
        }
        await ask('HEAD', '/');
      }
      await untilIdle(world);
      assert.equal(brokenOff(), 0);
      const visitor = await RawVisitor.open(t, world.httpPort);
      visitor.send(`GET /endless HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
      await visitor.sees('x\r\n');
      visitor.socket.destroy();
      await until('the line', () => brokenOff() === 1);
    });
  }

  it('is told to go on with its body, unless the origin refuses first', async t => {
    const { world } = await worldWith(t, async (message, response) => {
      if (message.url === '/refuse') response.writeHead(417).end();
      else response.end(await readAll(message));
    });
    const visitor = await RawVisitor.open(t, world.httpPort);
    visitor.send(`POST / HTTP/1.1\r\nHost: ${name}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`);
    await visitor.sees('HTTP/1.1 100 Continue\r\n\r\n');
    visitor.send('hello');
    await visitor.sees(/HTTP\/1\.1 200 OK[\s\S]*hello$/);
    const refused = await RawVisitor.open(t, world.httpPort);
    refused.send(`POST /refuse HTTP/1.1\r\nHost: ${name}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`);
    await refused.answered();
    await until('the end of the connection', () => refused.closed || refused.socket.readableEnded);
    assert.deepEqual(refused.statuses, [417]);
    await untilIdle(world);
  });

  it('gets a late refusal although it was told to go on', async t => {
    const gate = Promise.withResolvers<void>();
    const { world } = await worldWith(t, async (message, response) => {
      await gate.promise;
      message.resume();
      response.writeHead(403).end('no');
    });
    const visitor = await RawVisitor.open(t, world.httpPort);
    visitor.send(`POST / HTTP/1.1\r\nHost: ${name}\r\nExpect: 100-continue\r\nContent-Length: 50000000\r\n\r\n`);
    await visitor.sees('HTTP/1.1 100 Continue\r\n\r\n');
    visitor.send('x'.repeat(100_000));
    gate.resolve();
    await visitor.sees(/403 [\s\S]*no/);
    await untilIdle(world);
  });

  it('shares a connection with the next ones', async t => {
    const { world } = await worldWith(t, async (message, response) =>
      response.end(`${message.url}${await readAll(message)}`),
    );
    const visitor = await RawVisitor.open(t, world.httpPort);
    for (const path of ['/1', '/2', '/3']) {
      visitor.send(`POST ${path} HTTP/1.1\r\nHost: ${name}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n:x\r\n0\r\n\r\n`);
      await visitor.sees(`${path}:x`);
    }
    assert.deepEqual(visitor.statuses, [200, 200, 200]);
  });

  both('sees each event as it is written', async (t, asker) => {
    let sent: ServerResponse | undefined;
    const { world } = await worldWith(t, (_message, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      sent = response;
    });
    let text = '';
    let head = false;
    if (asker === askHttp1) {
      const call = request({ port: world.httpPort, headers: { host: name }, agent: false });
      call.on('error', () => undefined).end();
      call.once('response', response => {
        head = true;
        response
          .on('error', () => undefined)
          .on('data', (chunk: Buffer) => {
            text += chunk.toString();
          });
      });
      t.after(() => call.destroy());
    } else {
      const stream = http2Visitor(t, world).request({ ':path': '/', ':authority': name });
      stream
        .on('error', () => undefined)
        .once('response', () => {
          head = true;
        });
      stream.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
    }
    await until('the head before the first event', () => head);
    for (const event of ['data: 1\n\n', 'data: 2\n\n', 'data: 3\n\n']) {
      sent?.write(event);
      await until(event, () => text.endsWith(event));
    }
    sent?.end();
  });

  both('that is given up ends at the origin within a second', async (t, asker) => {
    const arrived = Promise.withResolvers<void>();
    const cancelled = Promise.withResolvers<void>();
    const { world } = await worldWith(t, (message, response) => {
      response.once('close', () => cancelled.resolve());
      message.resume();
      response.write('begun');
      arrived.resolve();
    });
    const leave =
      asker === askHttp1
        ? await RawVisitor.open(t, world.httpPort).then(visitor => {
            visitor.send(`GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
            return () => visitor.socket.destroy();
          })
        : () => undefined;
    const stream =
      asker === askHttp1 ? undefined : http2Visitor(t, world).request({ ':path': '/', ':authority': name });
    stream?.on('error', () => undefined);
    await arrived.promise;
    leave();
    stream?.close(8);
    await within('the cancellation at the origin', cancelled.promise, 1_000);
    await untilIdle(world);
  });

  it('whose upload is reset does not pass for a whole one', async t => {
    let ended = false;
    const aborted = Promise.withResolvers<void>();
    const began = Promise.withResolvers<void>();
    const { world } = await worldWith(t, message => {
      message.on('data', () => began.resolve());
      message.once('end', () => {
        ended = true;
      });
      message.on('error', () => undefined).once('close', () => aborted.resolve());
    });
    const stream = http2Visitor(t, world).request({ ':method': 'POST', ':path': '/', ':authority': name });
    stream.on('error', () => undefined);
    stream.write('half of it');
    await within('the first half', began.promise);
    stream.destroy(new Error('given up'));
    await within('the end of the upload', aborted.promise);
    assert.equal(ended, false);
  });

  it('speaks gRPC: trailers of an HTTP/2 origin reach an HTTP/2 visitor, also without a body', async t => {
    const server = createHttp2Server();
    server.on('stream', (stream: ServerHttp2Stream, headers) => {
      if (headers[':path'] === '/only') {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '5' }, { endStream: true });
        return;
      }
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', te: String(headers.te) }));
      stream.pipe(stream);
    });
    const port = await listen(t, server);
    const { world, tunnel } = await worldWith(t, () => undefined);
    await world.connect({ ...tunnel, ...(await world.makeTunnel('grpc.example.test')) }, [
      { service: `h2c://127.0.0.1:${port}` },
    ]);
    const ask = askHttp2(t, world);
    const answer = await ask('POST', '/echo', { ':authority': 'grpc.example.test', te: 'trailers' }, 'message');
    assert.deepEqual([answer.body, answer.trailers['grpc-status']], ['message', '0']);
    assert.equal((await ask('POST', '/only', { ':authority': 'grpc.example.test' })).headers['grpc-status'], '5');
  });
});

describe('a WebSocket of a visitor', () => {
  it('carries messages both ways and ends cleanly', async t => {
    const server = createServer();
    new WebSocketServer({ server }).on('connection', socket => {
      socket.on('message', data => socket.send(`echo ${data}`));
    });
    const { world } = await openWorld(t, await listen(t, server));
    for (const url of [`ws://127.0.0.1:${world.httpPort}/`, `wss://127.0.0.1:${world.httpsPort}/`]) {
      const socket = new WebSocket(url, [], { headers: { host: name }, rejectUnauthorized: false });
      await once(socket, 'open');
      socket.send('hello');
      const [data] = (await once(socket, 'message')) as [Buffer];
      assert.equal(data.toString(), 'echo hello');
      socket.close(1000);
      const [code] = await once(socket, 'close');
      assert.equal(code, 1000);
    }
    await untilIdle(world);
  });

  it('that the origin refuses gets the refusal and leaves nothing behind', async t => {
    const { world } = await worldWith(t, (_message, response) => response.writeHead(403).end('no'));
    const socket = new WebSocket(`ws://127.0.0.1:${world.httpPort}/`, [], { headers: { host: name } });
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
    assert.equal(response.statusCode, 403);
    assert.equal(await readAll(response), 'no');
    await untilIdle(world);
  });

  it('half-closes in either direction without losing a byte', async t => {
    const atOrigin: Socket[] = [];
    let received = '';
    let ended = false;
    const origin = await listenRaw(t, socket => {
      atOrigin.push(socket);
      socket.on('data', chunk => {
        received += chunk.toString('latin1');
        if (received.endsWith('\r\n\r\n'))
          socket.write(
            'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n',
          );
      });
      socket.on('end', () => {
        ended = true;
      });
    });
    const { world } = await openWorld(t, origin);
    const visitor = await RawVisitor.open(t, world.httpPort);
    visitor.send(
      `GET / HTTP/1.1\r\nHost: ${name}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n`,
    );
    await visitor.sees(/^HTTP\/1\.1 101 [\s\S]*\r\n\r\n/);
    visitor.socket.end('last words');
    await until('the last words and the end at the origin', () => ended && received.endsWith('last words'));
    const answer = 'y'.repeat(500_000);
    atOrigin[0]?.end(answer);
    await until('the whole answer', () => visitor.text.endsWith(answer) && visitor.socket.readableEnded);
    await untilIdle(world);
  });

  it('given up by the visitor ends at the origin', async t => {
    const server = createServer();
    const closed = Promise.withResolvers<void>();
    new WebSocketServer({ server }).on('connection', socket =>
      socket.on('error', () => undefined).on('close', () => closed.resolve()),
    );
    const { world } = await openWorld(t, await listen(t, server));
    const socket = new WebSocket(`ws://127.0.0.1:${world.httpPort}/`, [], { headers: { host: name } });
    await once(socket, 'open');
    socket.terminate();
    await within('the end at the origin', closed.promise, 1_000);
    await untilIdle(world);
  });
});
