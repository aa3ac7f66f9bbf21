// HTTP/1.1 on the wire: what a bare-socket origin sees and may answer.

import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { createServer } from 'node:tls';
import { headerOf, TestIncoming } from '../../../test/support/incoming.ts';
import { listen, listenRaw, readUntil } from '../../../test/support/origin-server.ts';
import { httpService, proxyTo, type TestProxy } from '../../../test/support/proxied.ts';
import { createTestCa } from '../../../test/support/test-ca.ts';
import { until, within } from '../../../test/support/wait.ts';
import type { PosternError } from '../../errors/error.ts';
import type { OriginRequest } from '../../schema/origin-request.ts';
import { dial } from '../dial/dial.ts';
import { Http1Pool } from './http1.ts';

async function raw(
  t: TestContext,
  handler: (socket: Socket, connection: number) => void,
  originRequest: Partial<OriginRequest> = {},
): Promise<TestProxy> {
  let connections = 0;
  const port = await listenRaw(t, socket => {
    connections += 1;
    handler(socket, connections);
  });
  const test = await proxyTo(httpService(port), originRequest);
  t.after(() => test.close());
  return test;
}

/** An origin that answers every request head it sees with `answer`. */
function answering(answer: string, onHead?: (head: string) => void): (socket: Socket) => void {
  return socket => {
    let seen = '';
    socket.on('data', chunk => {
      seen += chunk.toString('latin1');
      for (let end = seen.indexOf('\r\n\r\n'); end !== -1; end = seen.indexOf('\r\n\r\n')) {
        onHead?.(seen.slice(0, end));
        seen = seen.slice(end + 4);
        socket.write(answer);
      }
    });
  };
}

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

async function text(incoming: TestIncoming): Promise<string> {
  await within('a response', incoming.response);
  return (await within('the body', incoming.bytes())).toString('latin1');
}

describe('HTTP/1.1 to the origin', () => {
  it('sends exactly the head the rules give', async t => {
    const heads: string[] = [];
    const test = await raw(
      t,
      answering(ok, head => heads.push(head)),
      { httpHostHeader: 'inner:81' },
    );
    const incoming = test.request({
      path: '/x?y',
      host: 'outer.example.com',
      headers: ['accept', '*/*', 'X-Forwarded-Host', 'spoofed', 'connection', 'close', 'te', 'trailers'],
    });
    assert.equal(await text(incoming), 'ok');
    assert.deepEqual(heads[0]?.split('\r\n'), [
      'GET /x?y HTTP/1.1',
      'Host: inner:81',
      'Accept: */*',
      'Te: trailers',
      'X-Forwarded-Host: outer.example.com',
      'Cf-Warp-Tag-Id: 11111111-2222-3333-4444-555555555555',
      'Connection: keep-alive',
    ]);
  });

  it('swallows interim responses and passes trailers on', async t => {
    const test = await raw(
      t,
      answering(
        'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n' +
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n',
      ),
    );
    const incoming = test.request();
    assert.equal(await text(incoming), 'ok');
    assert.deepEqual(incoming.trailerList, ['X-Sum', '7']);
  });

  it('holds the body back for 100 (Continue), and keeps it when the answer is final', async t => {
    const seen: string[] = [];
    const test = await raw(t, (socket, connection) => {
      void readUntil(socket, '\r\n\r\n').then(async head => {
        seen.push(head);
        if (connection === 2) {
          socket.end('HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n');
          seen.push(await readUntil(socket, 'never'));
          return;
        }
        socket.write('HTTP/1.1 100 Continue\r\n\r\n');
        seen.push(await readUntil(socket, 'hello'));
        socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok');
      });
    });
    const head = { method: 'POST', bodyLength: 5, headers: ['Content-Length', '5', 'Expect', '100-Continue'] };
    const first = test.request(head);
    first.edge.end('hello');
    assert.equal(await text(first), 'ok');
    assert.match(seen[0] ?? '', /\r\nExpect: 100-continue\r\n/);
    assert.doesNotMatch(seen[0] ?? '', /hello/);
    assert.equal(seen[1], 'hello');

    const second = test.request(head);
    second.edge.write('hel');
    assert.equal((await second.response).status, 417);
    await until('the origin connection to end', () => seen.length === 4);
    assert.equal(seen[3], '');
  });

  it('retries a body-less idempotent request once when the kept connection is dead', async t => {
    let requests = 0;
    const test = await raw(t, (socket, connection) => {
      socket.on('data', () => {
        requests += 1;
        // The first connection answers once and then closes without a word.
        if (connection === 1 && requests > 1) socket.destroy();
        else socket.write(ok);
      });
    });
    assert.equal(await text(test.request()), 'ok');
    assert.equal(await text(test.request()), 'ok');
    assert.equal(requests, 3);
  });

  it('does not retry a POST, nor anything on a fresh connection', async t => {
    let requests = 0;
    const test = await raw(t, socket => {
      let own = 0;
      socket.on('data', () => {
        requests += 1;
        own += 1;
        if (own > 1) socket.destroy();
        else socket.write(ok);
      });
    });
    assert.equal(await text(test.request()), 'ok');
    await assert.rejects(test.request({ method: 'POST' }).response, /closed the connection before it answered/);
    assert.equal(requests, 2);

    let closed = 0;
    const closing = await raw(t, socket => {
      socket.on('data', () => {
        closed += 1;
        socket.end();
      });
    });
    await assert.rejects(closing.request().response, /The origin closed the connection before it answered$/);
    assert.equal(closed, 1);
  });

  it('gives up origins that never come to an answer', { timeout: 20_000 }, async t => {
    const endless = await raw(t, socket => {
      socket.on('error', () => undefined);
      socket.once('data', () => {
        for (let index = 0; index < 100; index += 1) socket.write('HTTP/1.1 103 Early Hints\r\n\r\n');
      });
    });
    await assert.rejects(within('a refusal', endless.request().response), /more than 32 interim responses/);
    // An SSH server speaks first, and then waits for its client's name.
    for (const early of [true, false]) {
      const banner = await raw(t, socket => {
        if (early) socket.write('SSH-2.0-OpenSSH_9.2p1\r\n');
        else socket.once('data', () => socket.write('SSH-2.0-OpenSSH_9.2p1\r\n'));
      });
      await assert.rejects(within('a refusal', banner.request().response), /it begins with "SSH-2\.0-/);
    }
  });

  it('gives up an origin whose head trickles', async t => {
    const port = await listenRaw(t, socket => {
      socket.on('error', () => undefined);
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nX-Slow: ');
        const timer = setInterval(() => socket.write('x'), 20);
        socket.once('close', () => clearInterval(timer));
      });
    });
    const settings = { connectTimeoutMs: 5_000, tcpKeepAliveMs: 0, noHappyEyeballs: false };
    const pool = new Http1Pool({
      dest: 'trickle',
      maxIdle: 1,
      keepAliveTimeoutMs: 1_000,
      headTimeoutMs: 200,
      open: done => dial({ kind: 'tcp', host: '127.0.0.1', port }, settings, undefined, done),
    });
    t.after(() => pool.close());
    const failed = Promise.withResolvers<PosternError>();
    const { body } = new TestIncoming({});
    const head = {
      kind: 'http',
      method: 'GET',
      scheme: 'http',
      host: 'a',
      path: '/',
      headers: [],
      bodyLength: 0,
    } as const;
    const ignore = (): void => undefined;
    const exchange = {
      head,
      body,
      bytesUp: 0,
      bytesDown: 0,
      work: undefined,
      respond: ignore,
      trailers: ignore,
      reject: ignore,
      fail: failed.resolve,
    };
    pool.request(exchange, { path: '/', host: 'a', headers: [], expectContinue: false });
    const error = await within('the failure', failed.promise);
    assert.equal(error.code, 'origin.timeout');
    assert.match(error.message, /did not end the head of its answer within 200 ms/);
    assert.equal(pool.stats.open, 0);
  });

  it('keeps no more idle connections than keepAliveConnections', async t => {
    const open = new Set<Socket>();
    const waiting: Socket[] = [];
    const test = await raw(
      t,
      socket => {
        open.add(socket);
        socket.on('close', () => open.delete(socket));
        socket.on('end', () => socket.end());
        socket.on('data', () => waiting.push(socket));
      },
      { keepAliveConnections: 2 },
    );
    const all = Array.from({ length: 6 }, () => test.request());
    await until('six requests at once', () => waiting.length === 6);
    for (const socket of waiting) socket.write(ok);
    await Promise.all(all.map(text));
    await until('four connections to close', () => open.size === 2);
  });

  it('does not reuse a connection whose response said so, or came before the request was sent', async t => {
    const seen: number[] = [];
    const test = await raw(t, (socket, connection) => {
      socket.once('data', () => {
        seen.push(connection);
        socket.write(connection === 1 ? 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok' : ok);
      });
    });
    assert.equal(await text(test.request()), 'ok');
    const upload = test.request({ method: 'POST', bodyLength: -1 });
    upload.edge.write('part');
    assert.equal(await text(upload), 'ok');
    assert.equal(await text(test.request()), 'ok');
    assert.deepEqual(seen, [1, 2, 3]);
  });

  it('refuses what could be read as two requests', async t => {
    let bytes = 0;
    const test = await raw(t, socket => socket.on('data', chunk => (bytes += chunk.length)));
    const cases: readonly Parameters<TestProxy['request']>[0][] = [
      { method: 'POST', bodyLength: 5, headers: ['Content-Length', '5', 'Transfer-Encoding', 'chunked'] },
      { method: 'POST', bodyLength: 5, headers: ['Content-Length', '5', 'content-length', '6'] },
      { method: 'POST', bodyLength: 5, headers: ['Content-Length', '7'] },
      { method: 'POST', bodyLength: 5, headers: ['Content-Length', '0x5'] },
      { method: 'POST', bodyLength: -1, headers: ['Content-Length', '5'] },
      { method: 'POST', bodyLength: -1, headers: ['Transfer-Encoding', 'gzip, chunked'] },
      { method: 'POST', bodyLength: -1, headers: ['Transfer-Encoding', 'chunked', 'transfer-encoding', 'chunked'] },
      { headers: ['X-A', 'b\r\nX-Injected: 1'] },
      { headers: ['X-A', 'b\u010aX-Injected: 1'] },
      { headers: ['X-A\r\nX-Injected', '1'] },
      { headers: ['X A', '1'] },
      { headers: ['', '1'] },
      { path: '/ HTTP/1.1\r\nX-Injected: 1' },
      { path: '/a b' },
      { path: '//\u010d\u010a' },
      { path: 'http://other/' },
      { method: 'GET / HTTP/1.1\r\nX:' },
      { method: 'CONNECT' },
      { host: 'a\r\nX-Injected: 1' },
      { host: 'a b' },
    ];
    for (const head of cases) {
      const incoming = test.request(head);
      await assert.rejects(incoming.response, /Request not forwarded/, JSON.stringify(head));
    }
    assert.equal(bytes, 0);
  });

  it('refuses a response that breaks HTTP, and resets the stream when the head is out already', async t => {
    const test = await raw(t, answering('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx'));
    await assert.rejects(test.request().response, /two different Content-Length/);
    const late = await raw(t, answering('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nxyz'));
    const incoming = late.request();
    assert.equal((await incoming.response).status, 200);
    await assert.rejects(within('the end', incoming.bytes()));
    const line = late.lines.find(entry => entry.level === 'error');
    assert.deepEqual([line?.hop, line?.message], ['response', 'Response broke off']);
  });

  it('resets the stream when the origin dies inside a body', async t => {
    for (const ending of ['destroy', 'resetAndDestroy'] as const) {
      const test = await raw(t, socket => {
        socket.once('data', () => {
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart');
          setImmediate(() => socket[ending]());
        });
      });
      const incoming = test.request();
      assert.equal((await incoming.response).status, 200);
      await assert.rejects(within('the end', incoming.bytes()));
      await until('the stream to close', () => incoming.edge.destroyed);
    }
  });

  it('delivers an early answer while the upload still goes on', async t => {
    const test = await raw(t, socket => {
      socket.once('data', () => {
        socket.pause();
        socket.end('HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig');
        setImmediate(() => socket.destroy());
      });
    });
    const incoming = test.request({ method: 'POST', bodyLength: 64 << 20 });
    incoming.flood();
    assert.equal((await within('an answer', incoming.response)).status, 413);
    assert.equal(String(await within('its body', incoming.bytes())), 'big');
    await until('the stream to close', () => incoming.body.destroyed);
  });

  it('delivers the answer of an origin that then resets the connection under the upload', async t => {
    const leaf = await (await createTestCa()).issue(['127.0.0.1']);
    for (const protocol of ['http', 'https'] as const) {
      const refuse = (socket: Socket): void => {
        socket.on('error', () => undefined);
        socket.once('data', () => {
          socket.pause();
          socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig', () =>
            // Unread bytes make a close a reset.
            socket.destroy(),
          );
        });
      };
      const port = protocol === 'http' ? await listenRaw(t, refuse) : await listen(t, createServer(leaf, refuse));
      const test = await proxyTo(httpService(port, protocol), { noTLSVerify: true });
      t.after(() => test.close());
      for (let round = 0; round < 40; round += 1) {
        const incoming = test.request({ method: 'POST', bodyLength: round % 2 === 0 ? 64 << 20 : -1 });
        incoming.flood();
        assert.equal((await within('an answer', incoming.response)).status, 413);
        assert.equal(String(await within('its body', incoming.bytes())), 'big');
        await until('the stream to close', () => incoming.body.destroyed);
      }
      assert.ok(test.lines.every(line => line.level !== 'error'));
    }
  });

  it('fails an upload to an origin that resets the connection without an answer', async t => {
    const test = await raw(t, socket => {
      socket.once('data', () => {
        socket.pause();
        setImmediate(() => socket.resetAndDestroy());
      });
    });
    for (let round = 0; round < 10; round += 1) {
      const incoming = test.request({ method: 'POST', bodyLength: -1 });
      incoming.flood();
      await assert.rejects(within('a refusal', incoming.response), /Could not send the request to/);
    }
  });

  it('passes bodies that end with the connection', async t => {
    const test = await raw(t, socket => {
      socket.once('data', () => socket.end('HTTP/1.0 200 OK\r\n\r\nto the end'));
    });
    assert.equal(await text(test.request()), 'to the end');
  });

  it('passes every piece on as it comes', async t => {
    let origin: Socket | undefined;
    const test = await raw(t, socket => {
      origin = socket;
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n'));
    });
    const incoming = test.request();
    assert.equal(headerOf((await incoming.response).headers, 'content-type'), 'text/event-stream');
    const pieces = incoming.edge[Symbol.asyncIterator]();
    for (let index = 0; index < 5; index += 1) {
      origin?.write(`data: ${index}\n\n`);
      const { value } = await within('an event', pieces.next());
      assert.equal(String(value), `data: ${index}\n\n`);
    }
    origin?.end();
  });

  it('carries large header sets both ways', async t => {
    const many = Array.from({ length: 1000 }, (_, index) => [`x-${index}`, 'v'.repeat(100)]);
    let received = 0;
    const test = await raw(
      t,
      answering(
        `HTTP/1.1 200 OK\r\n${many.map(([name, value]) => `${name}: ${value}\r\n`).join('')}Content-Length: 0\r\n\r\n`,
        head => {
          received = head.split('\r\n').length;
        },
      ),
    );
    const answer = await test.request({ headers: many.flat() }).response;
    assert.equal(answer.headers.length, 2002);
    assert.equal(received, 1004);
  });

  it('ends the origin request when the visitor vanishes: waiting, reading, uploading', async t => {
    let open = 0;
    let received = 0;
    const test = await raw(t, socket => {
      open += 1;
      socket.on('close', () => (open -= 1)).on('end', () => socket.end());
      socket.on('data', chunk => {
        received += 1;
        if (chunk.includes('GET /stream')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx');
      });
    });
    const waiting = test.request({ path: '/wait' });
    const reading = test.request({ path: '/stream' });
    const uploading = test.request({ method: 'POST', path: '/up', bodyLength: 100 });
    uploading.edge.write('some');
    await reading.response;
    await until('three requests at the origin', () => open === 3 && received >= 3);
    for (const incoming of [waiting, reading, uploading]) incoming.vanish();
    await until('their connections to close', () => open === 0, 1000);
    assert.deepEqual(
      test.lines.filter(line => line.level === 'error'),
      [],
    );
  });

  it('refuses a request body that does not keep its length', async t => {
    const test = await raw(t, () => undefined);
    const long = test.request({ method: 'PUT', bodyLength: 3 });
    long.edge.end('four');
    await assert.rejects(within('a refusal', long.response), /longer than its Content-Length/);
    const short = test.request({ method: 'PUT', bodyLength: 5 });
    short.edge.end('four');
    await assert.rejects(within('a refusal', short.response), /Incoming request ended abruptly/);
  });
});
