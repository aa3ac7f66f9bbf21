// WebSocket to HTTP-type origins: the handshake, raw bytes both ways, half-close, other answers.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { describe, it } from 'node:test';
import { WebSocketServer } from 'ws';
import { listen, listenRaw } from '../../../test/support/origin-server.ts';
import { httpService, proxyTo } from '../../../test/support/proxied.ts';
import { until, within } from '../../../test/support/wait.ts';
import { clientFrame, FrameReader } from '../../../test/support/websocket-client.ts';

const key = 'dGhlIHNhbXBsZSBub25jZQ==';
const head = {
  kind: 'websocket',
  bodyLength: -1,
  headers: [
    'Sec-WebSocket-Key',
    key,
    'Sec-WebSocket-Version',
    '8',
    'Sec-WebSocket-Protocol',
    'chat',
    'Content-Length',
    '7',
  ],
} as const;
const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Own: 1\r\n\r\n';

describe('WebSocket to an HTTP origin', () => {
  it('completes a handshake with a real server and carries frames untouched', async t => {
    const server = createServer();
    const sockets = new WebSocketServer({ server, handleProtocols: () => 'chat' });
    sockets.on('connection', socket => socket.on('message', (data, binary) => socket.send(data, { binary })));
    const port = await listen(t, server);
    const test = await proxyTo(httpService(port));
    t.after(() => test.close());
    const incoming = test.request(head);
    const answer = await within('the 101', incoming.response);
    assert.equal(answer.status, 101);
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    const lower = answer.headers.map((text, index) => (index % 2 === 0 ? text.toLowerCase() : text));
    for (const [name, value] of [
      ['sec-websocket-accept', accept],
      ['sec-websocket-protocol', 'chat'],
      ['connection', 'Upgrade'],
      ['upgrade', 'websocket'],
    ] as const)
      assert.equal(lower[lower.indexOf(name) + 1], value, name);
    const reader = new FrameReader(incoming.edge);
    incoming.edge.write(clientFrame(1, 'text'));
    incoming.edge.write(clientFrame(2, Buffer.alloc(50_000, 3)));
    await until('the echo', () => reader.data.length === 50_004);
    incoming.edge.write(clientFrame(8, Buffer.from([3, 232])));
    await until('the close frame', () => reader.frames.at(-1)?.opcode === 8);
    await until('the stream to end', () => reader.ended);
    incoming.edge.end();
    await until('the stream to close', () => incoming.body.destroyed);
    sockets.close();
  });

  it('sends the handshake head by the rules, and no bytes before the 101', async t => {
    let seen = '';
    const port = await listenRaw(t, socket => socket.on('data', chunk => (seen += String(chunk))));
    const test = await proxyTo(httpService(port));
    t.after(() => test.close());
    const incoming = test.request(head);
    incoming.edge.write('too early');
    await until('the head', () => seen.endsWith('\r\n\r\n'));
    assert.deepEqual(seen.split('\r\n'), [
      'GET / HTTP/1.1',
      'Host: app.example.com',
      `Sec-WebSocket-Key: ${key}`,
      'Sec-WebSocket-Protocol: chat',
      'Cf-Warp-Tag-Id: 11111111-2222-3333-4444-555555555555',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      '',
      '',
    ]);
    incoming.vanish();
  });

  it('passes bytes that come with the 101, and either half-close, without loss', async t => {
    const late = Buffer.alloc(1_000_000, 9);
    let received = '';
    for (const first of ['visitor', 'origin'] as const) {
      received = '';
      const port = await listenRaw(t, socket => {
        socket.once('data', () => {
          socket.write(`${switching}at once`, 'latin1');
          socket.on('data', chunk => (received += String(chunk)));
          if (first === 'origin') socket.end(late);
          else socket.on('end', () => socket.end(late));
        });
      });
      const test = await proxyTo(httpService(port));
      t.after(() => test.close());
      const incoming = test.request(head);
      incoming.edge.write('early ');
      assert.equal((await within('the 101', incoming.response)).status, 101);
      if (first === 'visitor') incoming.edge.end('last');
      const body = await within('the body', incoming.bytes());
      assert.equal(String(body.subarray(0, 7)), 'at once');
      assert.ok(late.equals(body.subarray(7)));
      if (first === 'origin') incoming.edge.end('last');
      await until('the last bytes', () => received === 'early last');
      await until('the stream to close', () => incoming.body.destroyed);
    }
  });

  it('proxies any other answer as it is', async t => {
    const port = await listenRaw(t, socket => {
      socket.once('data', () => socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'));
    });
    const test = await proxyTo(httpService(port));
    t.after(() => test.close());
    const incoming = test.request(head);
    assert.equal((await within('the answer', incoming.response)).status, 403);
    assert.equal(String(await incoming.bytes()), 'no');
    await until('the stream to close', () => incoming.body.destroyed);
  });

  it('resets the stream when the origin breaks off, and the origin when the visitor vanishes', async t => {
    const sockets: import('node:net').Socket[] = [];
    const port = await listenRaw(t, socket => {
      sockets.push(socket);
      socket.once('data', () => socket.write(switching));
    });
    const test = await proxyTo(httpService(port));
    t.after(() => test.close());
    const one = test.request(head);
    await one.response;
    sockets[0]?.resetAndDestroy();
    await until('the reset', () => one.edge.destroyed);
    const two = test.request(head);
    await two.response;
    two.vanish();
    await until('the origin connection to close', () => sockets[1]?.destroyed === true, 1000);
  });
});
