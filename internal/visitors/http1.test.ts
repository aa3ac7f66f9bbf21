// HTTP/1.1 visitors through an edge and a connector, byte by byte: what passes unchanged, and what follows a request.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { describe, it, type TestContext } from 'node:test';
import { openWorld } from '../../test/support/edge-world.ts';
import { listenRaw } from '../../test/support/origin-server.ts';
import { RawVisitor } from '../../test/support/raw-visitor.ts';
import { until } from '../../test/support/wait.ts';

const name = 'app.example.test';
const host = `Host: ${name}\r\n`;

/** Fields of an answer that ends with the connection. */
const unknownLength = 'Connection: close\r\n';

/** An origin that keeps what it is asked, and answers with `head` before a body of two bytes. */
async function openBytes(t: TestContext, protocol: 'http2' | 'quic', head = 'Content-Length: 2\r\n') {
  const asked: string[] = [];
  const port = await listenRaw(t, socket => {
    socket.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1');
      for (const one of text.split(/(?<=\r\n\r\n)/)) {
        asked.push(one);
        socket.write(Buffer.from(`HTTP/1.1 200 OK\r\n${head}\r\nok`, 'latin1'));
        if (head === unknownLength) socket.end();
      }
    });
  });
  const { world } = await openWorld(t, port, { protocol });
  const visit = async (bytes: string): Promise<RawVisitor> => {
    const visitor = await RawVisitor.open(t, world.httpPort);
    visitor.send(bytes);
    await visitor.answered();
    return visitor;
  };
  return { world, asked, visit };
}

describe('an HTTP/1.1 visitor', () => {
  for (const protocol of ['http2', 'quic'] as const) {
    it(`has every byte of a value passed on, both ways, over ${protocol}`, async t => {
      const high = Array.from({ length: 0xe0 }, (_, index) => String.fromCharCode(0x20 + index)).join('');
      const value = `|${high.replace('\x7f', '')}|`;
      const { world, asked, visit } = await openBytes(t, protocol, `Content-Length: 2\r\nX-Answer: ${value}\r\n`);
      const visitor = await visit(`GET / HTTP/1.1\r\n${host}X-Request: ${value}\r\n\r\n`);
      assert.ok(asked[0]?.includes(value), String(asked[0]));
      assert.ok(visitor.text.includes(value), visitor.text);
      const session = connectHttp2(`https://127.0.0.1:${world.httpsPort}`, { ca: world.edge.caPem, servername: name });
      t.after(() => session.destroy());
      const stream = session.request({ ':authority': name, 'x-request': value });
      const [headers] = (await once(stream.resume(), 'response')) as [Record<string, string>];
      assert.equal(headers['x-answer'], value);
      assert.ok(asked[1]?.includes(value), String(asked[1]));
    });

    it(`may use any method, and raw bytes in a path, as HTTP/2 visitors may, over ${protocol}`, async t => {
      const { world, asked, visit } = await openBytes(t, protocol);
      const session = connectHttp2(`https://127.0.0.1:${world.httpsPort}`, { ca: world.edge.caPem, servername: name });
      t.after(() => session.destroy());
      const cases = [
        ['RDG_OUT_DATA', '/remoteDesktopGateway/', '/remoteDesktopGateway/'],
        ['RPC_IN_DATA', '/rpc/rpcproxy.dll?a:1', '/rpc/rpcproxy.dll?a:1'],
        ['LIST', '/v1/secret', '/v1/secret'],
        ['GET', '/caf\xc3\xa9?q=\xff', '/caf%C3%A9?q=%FF'],
      ] as const;
      for (const [method, sent, path] of cases) {
        const visitor = await visit(`${method} ${sent} HTTP/1.1\r\n${host}\r\n`);
        assert.deepEqual(visitor.statuses, [200], visitor.text);
        const stream = session.request({ ':authority': name, ':method': method, ':path': sent });
        const [headers] = (await once(stream.resume(), 'response')) as [Record<string, unknown>];
        assert.equal(headers[':status'], 200);
        const [first, second] = asked.splice(0);
        for (const line of [first, second]) assert.ok(line?.startsWith(`${method} ${path} HTTP/1.1\r\n`), String(line));
      }
    });
  }

  it('may write its host with a dot or a colon behind it', async t => {
    const { asked, visit } = await openBytes(t, 'http2');
    for (const given of [`${name}.`, `${name}:`, `${name}.:`, `${name}.:80`, name.toUpperCase()]) {
      const visitor = await visit(`GET / HTTP/1.1\r\nHost: ${given}\r\n\r\n`);
      assert.deepEqual(visitor.statuses, [200], given);
    }
    assert.ok(
      asked.every(head => /^host: app\.example\.test(:80)?\r$/im.test(head)),
      asked.join(),
    );
  });

  it('has nothing served that follows a malformed request', async t => {
    const { asked, visit } = await openBytes(t, 'http2');
    for (const bad of ['GET /x HTTP/1.1\r\nA B: c\r\n\r\n', 'GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n', '\0\r\n\r\n']) {
      const visitor = await visit(`${bad}GET /smuggled HTTP/1.1\r\n${host}\r\n`.repeat(3));
      await until('the end', () => visitor.closed || visitor.socket.readableEnded);
      assert.deepEqual(visitor.statuses, [400], visitor.text);
    }
    assert.deepEqual(asked, []);
  });

  it('has what follows its last request ignored', async t => {
    const { asked, visit } = await openBytes(t, 'http2');
    const last = [`GET / HTTP/1.1\r\n${host}Connection: close\r\n\r\n`, `GET / HTTP/1.0\r\n${host}\r\n`];
    for (const request of last) {
      for (const behind of ['garbage', `GET /next HTTP/1.1\r\n${host}\r\n`, '\0'.repeat(100_000)]) {
        const visitor = await visit(`${request}${behind}`);
        await until('the end', () => visitor.closed || visitor.socket.readableEnded);
        assert.deepEqual(visitor.statuses, [200], visitor.text);
        assert.ok(visitor.text.endsWith('ok'), visitor.text);
      }
    }
    assert.equal(asked.length, 6);
    assert.ok(!asked.some(head => head.includes('/next')));
  });

  it('of version 1.0 gets a body of unknown length whole, and keeps its connection if it asks for that', async t => {
    const { visit } = await openBytes(t, 'http2', unknownLength);
    const closed = await visit(`GET / HTTP/1.0\r\n${host}Connection: keep-alive\r\n\r\n`);
    await until('the end', () => closed.closed || closed.socket.readableEnded);
    assert.match(closed.text, /^HTTP\/1\.1 200 OK\r\n(?!.*chunked).*Connection: close\r\n\r\nok$/s);
    const { visit: keep } = await openBytes(t, 'http2');
    const kept = await keep(`GET / HTTP/1.0\r\n${host}Connection: keep-alive\r\n\r\n`);
    await kept.sees('ok');
    kept.send(`GET / HTTP/1.0\r\n${host}\r\n`);
    await until('the end', () => kept.closed || kept.socket.readableEnded);
    assert.deepEqual(kept.statuses, [200, 200]);
  });

  it('of version 2 with prior knowledge is served on the plain port', async t => {
    const { world, asked } = await openBytes(t, 'http2');
    const session = connectHttp2(`http://127.0.0.1:${world.httpPort}`);
    t.after(() => session.destroy());
    for (const path of ['/1', '/2']) {
      const stream = session.request({ ':authority': name, ':path': path });
      const [headers] = (await once(stream.resume(), 'response')) as [Record<string, unknown>];
      assert.equal(headers[':status'], 200);
    }
    assert.ok(asked.every(head => /^x-forwarded-proto: http\r$/im.test(head)));
    // The preface may come in pieces.
    const slow = await RawVisitor.open(t, world.httpPort);
    for (const byte of 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n') {
      slow.send(byte);
      await new Promise(resolve => setImmediate(resolve));
    }
    slow.send(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
    await slow.sees(/^\0\0.\x04\0/s);
  });
});
