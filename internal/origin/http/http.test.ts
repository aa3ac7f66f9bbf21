import assert from 'node:assert/strict';
import { createServer, type RequestListener, type Server } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { headerOf } from '../../../test/support/incoming.ts';
import { listen } from '../../../test/support/origin-server.ts';
import { httpService, proxyTo, type TestProxy } from '../../../test/support/proxied.ts';
import type { OriginRequest } from '../../schema/origin-request.ts';

async function setUp(
  t: TestContext,
  listener: RequestListener,
  originRequest: Partial<OriginRequest> = {},
): Promise<{ test: TestProxy; server: Server }> {
  const server = createServer({ maxHeaderSize: 1 << 20 }, listener);
  const port = await listen(t, server);
  const test = await proxyTo(httpService(port), originRequest);
  t.after(() => test.close());
  return { test, server };
}

describe('HTTP origin', () => {
  it('forwards method, path, query, host and headers, and the answer', async t => {
    const { test } = await setUp(t, (request, response) => {
      response.setHeader('X-One', ['a', 'b']);
      response.statusCode = 418;
      response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.rawHeaders }));
    });
    const incoming = test.request({
      method: 'OPTIONS',
      path: '/a%2Fb?x=1&y=%20',
      host: 'app.example.com:8443',
      headers: ['Accept', 'text/plain', 'x-two', '1', 'x-two', '2', 'cf-trace-id', 'x', 'Keep-Alive', '5'],
    });
    const answer = await incoming.response;
    assert.equal(answer.status, 418);
    const seen = JSON.parse((await incoming.bytes()).toString()) as { method: string; url: string; headers: string[] };
    assert.equal(seen.method, 'OPTIONS');
    assert.equal(seen.url, '/a%2Fb?x=1&y=%20');
    assert.equal(headerOf(seen.headers, 'host'), 'app.example.com:8443');
    assert.equal(headerOf(seen.headers, 'connection'), 'keep-alive');
    assert.equal(headerOf(seen.headers, 'Cf-Warp-Tag-Id'), '11111111-2222-3333-4444-555555555555');
    for (const name of ['user-agent', 'cf-trace-id', 'keep-alive', 'accept-encoding', 'x-forwarded-host'])
      assert.equal(headerOf(seen.headers, name), undefined, name);
    assert.deepEqual(
      seen.headers.filter((_, index) => seen.headers[index - 1] === 'X-Two'),
      ['1', '2'],
    );
    assert.deepEqual(
      answer.headers.filter((_, index) => answer.headers[index - 1] === 'X-One'),
      ['a', 'b'],
    );
    assert.equal(headerOf(answer.headers, 'transfer-encoding'), undefined);
  });

  it('streams a request body of known and of unknown length', async t => {
    const { test } = await setUp(t, (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', chunk => chunks.push(chunk));
      request.on('end', () =>
        response.end(
          `${request.headers['content-length']} ${request.headers['transfer-encoding']} ${Buffer.concat(chunks)}`,
        ),
      );
    });
    const known = test.request({ method: 'POST', bodyLength: 5, headers: ['content-length', '5'] });
    known.edge.end('hello');
    assert.equal((await known.bytes()).toString(), '5 undefined hello');
    const unknown = test.request({ method: 'POST', bodyLength: -1, headers: ['Transfer-Encoding', 'chunked'] });
    unknown.edge.write('hel');
    unknown.edge.end('lo');
    assert.equal((await unknown.bytes()).toString(), 'undefined chunked hello');
  });

  it('keeps connections and reuses them', async t => {
    const ports = new Set<number>();
    const { test } = await setUp(t, (request, response) => {
      ports.add(request.socket.remotePort ?? 0);
      response.end('x');
    });
    for (let index = 0; index < 5; index += 1) {
      const incoming = test.request({ method: index % 2 === 0 ? 'GET' : 'HEAD' });
      await incoming.response;
      await incoming.bytes();
    }
    assert.equal(ports.size, 1);
  });

  it('answers HEAD, 204 and 304 without a body', async t => {
    const { test } = await setUp(t, (request, response) => {
      response.statusCode = Number(request.url?.slice(1));
      if (request.method === 'HEAD') response.setHeader('content-length', '1234');
      response.end();
    });
    for (const [method, status] of [
      ['HEAD', 200],
      ['GET', 204],
      ['GET', 304],
    ] as const) {
      const incoming = test.request({ method, path: `/${status}` });
      const answer = await incoming.response;
      assert.equal(answer.status, status);
      assert.equal((await incoming.bytes()).length, 0);
      if (method === 'HEAD') assert.equal(headerOf(answer.headers, 'content-length'), '1234');
    }
  });

  it('refuses when the origin is down, and names the hop in one log line', async t => {
    const { test, server } = await setUp(t, () => undefined);
    server.close();
    await new Promise(resolve => server.once('close', resolve));
    const incoming = test.request();
    await assert.rejects(incoming.response, /Unable to reach the origin service.*ECONNREFUSED/);
    const errors = test.lines.filter(line => line.level === 'error');
    assert.equal(errors.length, 1);
    assert.deepEqual(
      { hop: errors[0]?.hop, rule: errors[0]?.ingressRule, event: errors[0]?.event },
      { hop: 'connect', rule: 0, event: 1 },
    );
  });
});
