// HTTP/2 origins: by ALPN and with prior knowledge, on real node:http2 servers.

import assert from 'node:assert/strict';
import {
  constants,
  createSecureServer,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { headerOf } from '../../../test/support/incoming.ts';
import { listen } from '../../../test/support/origin-server.ts';
import { httpService, proxyTo, type TestProxy } from '../../../test/support/proxied.ts';
import { createTestCa } from '../../../test/support/test-ca.ts';
import { until, within } from '../../../test/support/wait.ts';

type Handler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, session: number) => void;

async function h2c(
  t: TestContext,
  handler: Handler,
  { maxConcurrentStreams = 100, maxSessions = Number.POSITIVE_INFINITY } = {},
): Promise<{ test: TestProxy; sessions: ServerHttp2Session[]; refused: Socket[] }> {
  const refused: Socket[] = [];
  const sessions: ServerHttp2Session[] = [];
  const server = createServer({ settings: { maxConcurrentStreams } });
  // Before the server's own listener, which makes the session.
  server.prependListener('connection', (socket: Socket) => {
    if (sessions.length < maxSessions) return;
    refused.push(socket);
    socket.resetAndDestroy();
  });
  server.on('session', session => {
    const index = sessions.push(session);
    session.on('error', () => undefined);
    session.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      handler(stream, headers, index);
    });
  });
  const port = await listen(t, server);
  const test = await proxyTo(httpService(port, 'h2c'));
  t.after(() => test.close());
  return { test, sessions, refused };
}

describe('HTTP/2 to the origin', () => {
  it('delivers an early answer although the origin resets the upload', async t => {
    for (const code of [constants.NGHTTP2_NO_ERROR, constants.NGHTTP2_CANCEL, constants.NGHTTP2_REFUSED_STREAM]) {
      const { test } = await h2c(t, stream => {
        stream.respond({ ':status': 413, 'content-length': '3' });
        stream.end('big', () => stream.close(code));
      });
      for (let round = 0; round < 10; round += 1) {
        const incoming = test.request({ method: 'POST', bodyLength: -1 });
        incoming.flood();
        assert.equal((await within('an answer', incoming.response)).status, 413);
        assert.equal((await within('its body', incoming.bytes())).toString(), 'big', `code ${code}`);
        await until('the stream to close', () => incoming.body.destroyed);
      }
    }
  });

  it('makes a request that a leaving origin refused again on a new connection', async t => {
    const { test, sessions } = await h2c(t, (stream, _headers, session) => {
      if (session === 1) {
        stream.session?.close();
        stream.close(constants.NGHTTP2_REFUSED_STREAM);
      } else {
        stream.respond({ ':status': 200 });
        stream.end('again');
      }
    });
    const incoming = test.request();
    assert.equal((await within('a response', incoming.response)).status, 200);
    assert.equal((await incoming.bytes()).toString(), 'again');
    assert.equal(sessions.length, 2);
  });

  it('forwards request and answer with prior knowledge', async t => {
    const { test, sessions } = await h2c(t, (stream, headers) => {
      stream.respond({ ':status': 201, 'x-many': ['a', 'b'], 'set-cookie': ['c=1', 'd=2'] });
      stream.end(JSON.stringify(headers));
    });
    const incoming = test.request({
      path: '/p?q',
      host: 'app.example.com',
      headers: ['Accept', 'x/y', 'TE', 'gzip', 'Connection', 'close', 'Cookie', 'a=1', 'Expect', '100-continue'],
    });
    const answer = await within('a response', incoming.response);
    assert.equal(answer.status, 201);
    assert.deepEqual(
      answer.headers.filter((_, index) => ['x-many', 'set-cookie'].includes(answer.headers[index - 1] ?? '')),
      ['a', 'b', 'c=1', 'd=2'],
    );
    const seen = JSON.parse((await incoming.bytes()).toString()) as Record<string, string>;
    assert.deepEqual(
      [seen[':method'], seen[':path'], seen[':authority'], seen[':scheme'], seen.accept, seen.cookie],
      ['GET', '/p?q', 'app.example.com', 'http', 'x/y', 'a=1'],
    );
    for (const name of ['te', 'connection', 'expect', 'host']) assert.equal(seen[name], undefined, name);
    assert.equal((await test.request().response).status, 201);
    assert.equal(sessions.length, 1);
  });

  it('carries a gRPC call: both directions at once, trailers, and trailers alone', async t => {
    const { test } = await h2c(t, (stream, headers) => {
      assert.equal(headers.te, 'trailers');
      if (headers[':path'] === '/fails') {
        stream.respond({ 'content-type': 'application/grpc', 'grpc-status': '5' }, { endStream: true });
        return;
      }
      stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': 'ok' }));
      stream.on('data', chunk => stream.write(chunk)).on('end', () => stream.end());
    });
    const head = { method: 'POST', bodyLength: -1, headers: ['content-type', 'application/grpc', 'te', 'trailers'] };
    const call = test.request({ ...head, path: '/echo' });
    await within('the head before the request has ended', call.response);
    const answers = call.edge.iterator({ destroyOnReturn: false });
    for (const message of ['one', 'two', 'three']) {
      call.edge.write(message);
      assert.equal(String((await within('an answer', answers.next())).value), message);
    }
    call.edge.end();
    assert.equal((await within('the end', answers.next())).done, true);
    assert.deepEqual(call.trailerList, ['grpc-status', '0', 'grpc-message', 'ok']);

    const failed = test.request({ ...head, path: '/fails' });
    assert.equal(headerOf((await failed.response).headers, 'grpc-status'), '5');
    assert.equal((await failed.bytes()).length, 0);
  });

  it('negotiates by ALPN, and falls back to HTTP/1.1', async t => {
    const ca = await createTestCa();
    const { key, cert } = await ca.issue(['origin.test']);
    const h2 = createSecureServer(
      { key, cert, allowHTTP1: true },
      (request, response) => void response.end(request.httpVersion),
    );
    const h1 = createHttpsServer({ key, cert }, (request, response) => void response.end(request.httpVersion));
    for (const [server, http2Origin, version] of [
      [h2, true, '2.0'],
      [h2, false, '1.1'],
      [h1, true, '1.1'],
    ] as const) {
      const port = server.listening ? (server.address() as { port: number }).port : await listen(t, server);
      const test = await proxyTo(httpService(port, 'https'), { http2Origin, noTLSVerify: true });
      t.after(() => test.close());
      const all = await Promise.all(
        Array.from({ length: 5 }, async () => {
          const incoming = test.request();
          await within('a response', incoming.response);
          return (await incoming.bytes()).toString();
        }),
      );
      assert.deepEqual(
        all,
        Array.from({ length: 5 }, () => version),
      );
    }
  });

  it('opens more sessions where one allows too few streams', async t => {
    const streams: ServerHttp2Stream[] = [];
    const { test, sessions } = await h2c(t, stream => void streams.push(stream), { maxConcurrentStreams: 2 });
    const first = test.request();
    await until('the first stream', () => streams.length === 1);
    // The origin's limit is known once its settings have come.
    const others = Array.from({ length: 5 }, () => test.request());
    await until('all streams', () => streams.length === 6);
    assert.ok(sessions.length >= 2, `${sessions.length} sessions`);
    for (const stream of streams) {
      stream.respond({ ':status': 200 });
      stream.end('x');
    }
    for (const incoming of [first, ...others]) assert.equal((await within('a body', incoming.bytes())).toString(), 'x');
  });

  it('uses the sessions it has where the origin takes no more of them', async t => {
    const limits = { maxConcurrentStreams: 2, maxSessions: 1 };
    const answer = (stream: ServerHttp2Stream): void => {
      stream.respond({ ':status': 200 });
      stream.end('x');
    };
    const held: ServerHttp2Stream[] = [];
    let holding = true;
    const { test, refused } = await h2c(t, stream => (holding ? void held.push(stream) : answer(stream)), limits);
    const requests = [test.request(), test.request()];
    await until('two streams', () => held.length === 2);
    requests.push(test.request(), test.request(), test.request());
    await until('a refused dial', () => refused.length > 0);
    holding = false;
    for (const stream of held) answer(stream);
    for (const { response } of requests) assert.equal((await within('an answer', response)).status, 200);
  });

  it('goes on after GOAWAY, and sends a refused request again', async t => {
    let refused = 0;
    const { test, sessions } = await h2c(t, (stream, headers) => {
      if (headers[':path'] === '/refuse' && refused === 0) {
        refused += 1;
        stream.close(constants.NGHTTP2_REFUSED_STREAM);
        return;
      }
      stream.respond({ ':status': 200 });
      stream.end('ok');
    });
    assert.equal((await test.request({ path: '/refuse' }).response).status, 200);
    sessions[0]?.goaway();
    sessions[0]?.close();
    await until('the session to close', () => sessions[0]?.destroyed === true);
    assert.equal((await within('a response', test.request().response)).status, 200);
    assert.equal(sessions.length, 2);
  });

  it('cancels the stream when the visitor vanishes, and tells a dying origin by a reset', async t => {
    const codes: number[] = [];
    const { test, sessions } = await h2c(t, stream => {
      stream.on('close', () => codes.push(stream.rstCode ?? -1));
      stream.respond({ ':status': 200 });
      stream.write('part');
    });
    const leaving = test.request();
    await leaving.response;
    leaving.vanish();
    await until('the cancel', () => codes.length === 1, 1000);
    assert.deepEqual(codes, [constants.NGHTTP2_CANCEL]);

    const cut = test.request();
    assert.equal((await cut.response).status, 200);
    sessions[0]?.destroy();
    await assert.rejects(within('the end', cut.bytes()));
    assert.equal(test.lines.filter(line => line.level === 'error').length, 1);
  });

  it('stops the origin when the visitor does not read', async t => {
    let written = 0;
    const chunk = Buffer.alloc(64 * 1024);
    const { test } = await h2c(t, stream => {
      stream.respond({ ':status': 200 });
      const more = (): void => {
        while (written < 256 << 20 && !stream.destroyed) {
          written += chunk.length;
          if (!stream.write(chunk)) break;
        }
      };
      stream.on('drain', more);
      more();
    });
    const incoming = test.request();
    await incoming.response;
    let before = -1;
    await until('the origin to stop', () => {
      const still = written === before;
      before = written;
      return still;
    });
    assert.ok(written < 2 << 20, `${written} bytes taken from the origin`);
    incoming.vanish();
  });

  it('refuses what the protocol forbids', async t => {
    const { test } = await h2c(t, stream => stream.respond({ ':status': 200 }, { endStream: true }));
    const twice = test.request({ headers: ['content-type', 'a/b', 'content-type', 'c/d'] });
    await assert.rejects(twice.response, /Could not send the request/);
    assert.equal((await test.request().response).status, 200);
  });
});
