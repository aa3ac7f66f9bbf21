// Visitors who stop in the middle of a body, theirs or ours: they are given up, slow ones are not.

import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EdgeWorld, openWorld } from '../../test/support/edge-world.ts';
import { listen } from '../../test/support/origin-server.ts';
import { RawVisitor } from '../../test/support/raw-visitor.ts';
import { until } from '../../test/support/wait.ts';

const name = 'app.example.test';
const visitorTimeouts = { headersMs: 5_000, stallMs: 300, streamStallMs: 600, heldMs: 3_000, keepAliveMs: 5_000 };

async function open(t: TestContext, origin: RequestListener, timeouts = visitorTimeouts): Promise<EdgeWorld> {
  const port = await listen(t, createServer(origin));
  const { world } = await openWorld(t, port, { edge: { visitorTimeouts: timeouts } });
  return world;
}

function untilIdle(world: EdgeWorld): Promise<void> {
  return until('the end of all streams', () =>
    world.edge.registry.all().every(one => one.connection.openStreams === 0),
  );
}

const countBody: RequestListener = (message, response) => {
  let bytes = 0;
  message.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  message.on('end', () => response.end(`${bytes} bytes`));
};

describe('a visitor who stops', () => {
  for (const framing of ['Content-Length: 10\r\n\r\nabc', 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n']) {
    it(`sending a body gets 408: ${framing.slice(0, 14)}`, async t => {
      const world = await open(t, countBody);
      const visitor = await RawVisitor.open(t, world.httpPort);
      visitor.send(`POST / HTTP/1.1\r\nHost: ${name}\r\n${framing}`);
      await visitor.answered();
      assert.deepEqual(visitor.statuses, [408], visitor.text);
      assert.match(visitor.text, /Connection: close\r\n/i);
      await untilIdle(world);
      await until('the end of the connection', () => visitor.closed || visitor.socket.readableEnded);
    });
  }

  it('sending a body over HTTP/2 gets 408', async t => {
    const world = await open(t, countBody);
    const session = connectHttp2(`https://127.0.0.1:${world.httpsPort}`, { ca: world.edge.caPem, servername: name });
    t.after(() => session.destroy());
    const stream = session.request({ ':method': 'POST', ':authority': name, 'content-length': '10' });
    let status: unknown;
    stream.on('response', headers => {
      status = headers[':status'];
    });
    stream.on('error', () => undefined);
    stream.write('abc');
    stream.resume();
    await until('an answer', () => status !== undefined);
    assert.equal(status, 408);
    await untilIdle(world);
  });

  it('reading an answer loses it, however short: over HTTP/1.1', async t => {
    let closed = 0;
    const world = await open(t, (_message, response) => {
      response.once('close', () => (closed += 1));
      const pump = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(64_000)));
      };
      response.on('drain', pump);
      pump();
    });
    const visitor = await RawVisitor.open(t, world.httpPort);
    visitor.socket.pause();
    visitor.send(`GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
    await until('the origin to be let go', () => closed === 1);
    await untilIdle(world);
  });

  it('reading an answer loses it, however short: over HTTP/2', async t => {
    const world = await open(t, (_message, response) => response.end('short'));
    const session = connectHttp2(`https://127.0.0.1:${world.httpsPort}`, {
      ...{ ca: world.edge.caPem, servername: name },
      settings: { initialWindowSize: 0 },
    });
    t.after(() => session.destroy());
    const stream = session.request({ ':authority': name });
    stream.on('error', () => undefined);
    stream.resume();
    await until('the stream to be reset', () => stream.closed);
    assert.notEqual(stream.rstCode, 0);
  });
});

describe('an upload that the origin does not read', () => {
  const announced = `POST / HTTP/1.1\r\nHost: ${name}\r\nContent-Length: ${256 << 20}\r\n\r\n`;
  it('ends when the origin has taken nothing for long', async t => {
    const world = await open(t, () => undefined);
    const visitor = await RawVisitor.open(t, world.httpPort);
    visitor.send(announced);
    visitor.send(Buffer.alloc(64 << 20));
    await visitor.answered();
    assert.deepEqual(visitor.statuses, [502], visitor.text);
    assert.match(visitor.text, /Postern-Failed-Hop: origin/i);
    await untilIdle(world);
    // One who has left meanwhile is noticed by nothing else: his end stands behind what he sent.
    const gone = await RawVisitor.open(t, world.httpPort);
    gone.send(announced);
    gone.send(Buffer.alloc(64 << 20));
    await until('his stream', () => world.edge.registry.all().some(one => one.connection.openStreams > 0));
    gone.socket.destroy();
    await untilIdle(world);
  });
});

describe('an origin that does not answer', () => {
  for (const protocol of ['http2', 'quic'] as const) {
    it(`costs its visitor a 504, whether it was asked or uploaded to, over ${protocol}`, async t => {
      let asked = 0;
      const origin = createServer((message, response) => {
        asked += 1;
        message.resume();
        if (message.url === '/soon') response.end('soon');
      });
      const { world } = await openWorld(t, await listen(t, origin), { protocol, edge: { answerTimeoutMs: 600 } });
      const visitor = await RawVisitor.open(t, world.httpPort);
      visitor.send(`GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
      await visitor.sees('504 The origin service did not answer in time.');
      assert.match(visitor.text, /^HTTP\/1\.1 504 [\s\S]*Postern-Failed-Hop: origin\r\n/);
      assert.equal(asked, 1);
      visitor.send(`GET /soon HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
      await visitor.sees('soon');
      const uploader = await RawVisitor.open(t, world.httpPort);
      uploader.send(`POST / HTTP/1.1\r\nHost: ${name}\r\nContent-Length: 10\r\n\r\n`);
      // The upload takes longer than the origin may.
      for (let sent = 0; sent < 10; sent += 1) {
        await sleep(100);
        assert.equal(uploader.text, '');
        uploader.send('x');
      }
      await uploader.answered();
      assert.deepEqual(uploader.statuses, [504]);
      await untilIdle(world);
    });
  }
});

describe('a visitor who is slow', () => {
  it('is served: in sending, in reading, and behind an origin that takes its time', async t => {
    // Ten times what lies between two bytes: a busy machine may stretch that.
    const timeouts = { ...visitorTimeouts, stallMs: 1_000 };
    const later: RequestListener = (message, response) => {
      if (message.url === '/later') setTimeout(() => countBody(message, response), 2 * timeouts.stallMs);
      else countBody(message, response);
    };
    const world = await open(t, later, timeouts);
    const slow = await RawVisitor.open(t, world.httpPort);
    slow.send(`POST / HTTP/1.1\r\nHost: ${name}\r\nContent-Length: 15\r\n\r\n`);
    const patient = await RawVisitor.open(t, world.httpPort);
    const bytes = 40 << 20;
    patient.send(`POST /later HTTP/1.1\r\nHost: ${name}\r\nContent-Length: ${bytes}\r\n\r\n`);
    patient.send(Buffer.alloc(bytes));
    for (let sent = 0; sent < 15; sent += 1) {
      await sleep(100);
      slow.send('x');
    }
    await slow.sees('15 bytes');
    await patient.sees(`${bytes} bytes`);
    // A pipelined answer that waits for the one before it is nobody's fault.
    const pipelined = await RawVisitor.open(t, world.httpPort);
    pipelined.send(`GET /later HTTP/1.1\r\nHost: ${name}\r\n\r\nGET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
    await until('both answers', () => pipelined.statuses.length === 2);
    assert.deepEqual(pipelined.statuses, [200, 200]);
  });
});
