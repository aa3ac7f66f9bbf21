// The proxy as a whole: swaps under load, built-in services, bulk with bounded memory, leaks.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { describe, it } from 'node:test';
import { headerOf, TestIncoming } from '../../test/support/incoming.ts';
import { listen } from '../../test/support/origin-server.ts';
import { createConfig, httpService, proxyTo, TestProxy } from '../../test/support/proxied.ts';
import { until, within } from '../../test/support/wait.ts';
import { clientFrame, FrameReader } from '../../test/support/websocket-client.ts';
import { parseGoDuration } from '../origin/services/hello-world.ts';

describe('proxy', () => {
  it('refuses before it has a configuration and after it is closed', async () => {
    const test = new TestProxy();
    await assert.rejects(test.request().response, /no configuration/);
    await assert.rejects(test.request({ kind: 'tcp', host: '127.0.0.1:1' }).response, /no configuration/);
    await test.proxy.swap(createConfig([{ service: { kind: 'status', text: 'http_status:503', status: 503 } }]));
    assert.equal((await test.request().response).status, 503);
    await test.close();
    await assert.rejects(test.request().response, /no configuration/);
    await assert.rejects(test.proxy.swap(createConfig([{ service: httpService(1) }])), /closed/);
  });

  it('logs each request and its answer at level debug, without secrets', async t => {
    const origin = await listen(
      t,
      createServer((_request, response) => response.writeHead(201, { 'Content-Length': '2' }).end('ok')),
    );
    const test = await proxyTo(httpService(origin));
    t.after(() => test.close());
    const headers = ['accept', '*/*', 'cookie', 'id=hidden', 'Authorization', 'hidden', 'x-api-key', 'hidden'];
    const incoming = test.request({ path: '/a?b=1', headers });
    assert.equal((await incoming.response).status, 201);
    await incoming.bytes();
    const [asked, answered] = test.lines.filter(line => line.ingressRule === 0);
    assert.equal(asked?.message, 'GET https://app.example.com/a?b=1 HTTP/1.1');
    assert.equal(answered?.message, 'Response 201');
    assert.equal(answered?.['content-length'], 2);
    const text = JSON.stringify(test.lines);
    assert.ok(text.includes('"accept":"*/*"'));
    assert.ok(!text.includes('hidden'), text);
  });

  it('answers the management host itself, whose token is no origin’s', async t => {
    const paths: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      paths.push(request.url);
      response.end();
    });
    const test = await proxyTo(httpService(await listen(t, server)));
    t.after(() => test.close());
    for (const host of ['management.argotunnel.com', 'Management.ArgoTunnel.com:443']) {
      for (const kind of ['http', 'websocket'] as const)
        assert.equal((await test.request({ kind, host, path: '/logs?access_token=secret' }).response).status, 501);
    }
    assert.equal((await test.request({ host: 'my-management.argotunnel.com', path: '/own' }).response).status, 200);
    assert.deepEqual(paths, ['/own']);
    assert.ok(!JSON.stringify(test.lines).includes('access_token'));
  });

  it('does not count streams that closed before they were served', async () => {
    const test = new TestProxy();
    await test.proxy.swap(createConfig([{ service: { kind: 'status', text: 'http_status:503', status: 503 } }], 1));
    for (const kind of ['http', 'websocket', 'tcp'] as const) {
      const incoming = new TestIncoming({ kind, host: '127.0.0.1:9', bodyLength: -1 });
      incoming.body.on('error', () => undefined);
      incoming.vanish();
      await until('the stream to close', () => incoming.body.closed);
      test.proxy.stream(incoming);
    }
    // The one flow that is allowed is free, and nothing holds the configuration.
    await assert.rejects(test.request({ kind: 'tcp', host: '127.0.0.1:9' }).response, /unable to dial/);
    await within('the proxy to close', test.close());
  });

  it('swaps under load without a failed request, and closes the old origins after their last one', async t => {
    const answers = new Map<string, number>();
    const held: (() => void)[] = [];
    const servers = ['old', 'new'].map(name =>
      createServer((request, response) => {
        if (request.url === '/held') held.push(() => response.end(name));
        else response.end(name);
      }),
    );
    const [oldPort = 0, newPort = 0] = await Promise.all(servers.map(server => listen(t, server)));
    const connections = (): Promise<number> =>
      new Promise((resolve, reject) =>
        servers[0]?.getConnections((error, count) => (error ? reject(error) : resolve(count))),
      );
    const test = await proxyTo(httpService(oldPort));
    t.after(() => test.close());
    const slow = test.request({ path: '/held' });
    await until('the held request', () => held.length === 1);

    let running = true;
    const load = Array.from({ length: 8 }, async () => {
      while (running) {
        const incoming = test.request();
        assert.equal((await incoming.response).status, 200);
        const text = (await incoming.bytes()).toString();
        answers.set(text, (answers.get(text) ?? 0) + 1);
      }
    });
    await until('answers of the old one', () => (answers.get('old') ?? 0) > 50);
    await test.proxy.swap(createConfig([{ service: httpService(newPort) }]));
    await until('answers of the new one', () => (answers.get('new') ?? 0) > 50);
    running = false;
    await Promise.all(load);
    assert.ok((await connections()) >= 1);
    held[0]?.();
    assert.equal((await within('the held answer', slow.bytes())).toString(), 'old');
    for (let left = await connections(); left > 0; left = await connections()) await new Promise(setImmediate);
  });

  it('keeps what it has when the new configuration cannot be opened', async t => {
    const port = await listen(
      t,
      createServer((_request, response) => void response.end('still')),
    );
    const test = await proxyTo(httpService(port));
    t.after(() => test.close());
    const bad = createConfig([{ service: httpService(port, 'https'), originRequest: { caPool: '/nonexistent' } }]);
    await assert.rejects(test.proxy.swap(bad), /unable to read/);
    assert.equal((await test.request().response).status, 200);
  });

  it('serves hello_world', async t => {
    const test = await proxyTo({ kind: 'hello-world', text: 'hello_world' });
    t.after(() => test.close());
    const page = test.request({ path: '/<x>', method: 'POST', bodyLength: 5 });
    page.edge.end('<&>"5');
    const html = (await within('the page', page.bytes())).toString();
    assert.match(html, /POST \/&#60;x&#62; HTTP\/1\.1/);
    assert.match(html, /Host: app\.example\.com/);
    assert.match(html, /&#60;&#38;&#62;&#34;5/);
    assert.equal((await test.request({ path: '/_health' }).bytes()).toString(), 'ok');
    const uptime = JSON.parse((await test.request({ path: '/uptime' }).bytes()).toString()) as Record<string, string>;
    assert.match(uptime.uptime ?? '', /^\d+\.\d+s$/);
    const events = test.request({ path: '/sse?freq=1ms' });
    assert.equal(headerOf((await events.response).headers, 'content-type'), 'text/event-stream');
    let seen = '';
    events.edge.on('data', chunk => (seen += String(chunk)));
    await until('three events', () => seen.startsWith('0\n\n1\n\n2\n\n'));
    events.vanish();
    const socket = test.request({
      kind: 'websocket',
      path: '/ws',
      bodyLength: -1,
      headers: ['sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ=='],
    });
    assert.equal((await socket.response).status, 101);
    const reader = new FrameReader(socket.edge);
    socket.edge.write(clientFrame(1, 'echo me'));
    await until('the echo', () => String(reader.data) === 'echo me');
    socket.vanish();
  });

  it('reads durations as Go writes them', () => {
    for (const [text, ms] of [
      ['1s', 1000],
      ['1m30.5s', 90_500],
      ['10', undefined],
      ['', undefined],
      ['1ns', undefined],
      ['-1s', undefined],
      [null, undefined],
    ] as const)
      assert.equal(parseGoDuration(text), ms);
  });

  it('answers http_status with nothing but the status', async t => {
    const test = await proxyTo({ kind: 'status', text: 'http_status:404', status: 404 });
    t.after(() => test.close());
    const incoming = test.request();
    assert.deepEqual(await incoming.response, { status: 404, headers: [] });
    assert.equal((await incoming.bytes()).length, 0);
    const odd = await proxyTo({ kind: 'status', text: 'http_status:103', status: 103 });
    t.after(() => odd.close());
    await assert.rejects(odd.request().response, /not a final status/);
  });

  it('gives bodies of unknown length a length for origins without chunked', async t => {
    const seen: unknown[] = [];
    const server = createServer((request, response) => {
      let text = '';
      request.on('data', chunk => (text += String(chunk)));
      request.on('end', () => {
        seen.push([request.headers['transfer-encoding'], request.headers['content-length'], text.length]);
        response.end();
      });
    });
    const test = await proxyTo(httpService(await listen(t, server)), { disableChunkedEncoding: true });
    t.after(() => test.close());
    for (const bytes of [0, 5, 1_000_000]) {
      const incoming = test.request({ method: 'POST', bodyLength: -1, headers: ['Transfer-Encoding', 'chunked'] });
      incoming.edge.end(Buffer.alloc(bytes, 'x'));
      assert.equal((await within('an answer', incoming.response)).status, 200);
    }
    assert.deepEqual(seen, [
      [undefined, '0', 0],
      [undefined, '5', 5],
      [undefined, '1000000', 1_000_000],
    ]);
    const long = test.request({ method: 'POST', bodyLength: -1 });
    long.edge.write(Buffer.alloc(1_200_000));
    const refusal = await within('an answer', long.response);
    assert.equal(refusal.status, 413);
    assert.equal(headerOf(refusal.headers, 'postern-failed-hop'), 'connector');
    assert.match(
      (await within('the body', long.bytes())).toString(),
      /^413 .*longer than 1048576 bytes.*disableChunkedEncoding/,
    );
    assert.ok(test.lines.some(({ level, error }) => level === 'error' && /longer than 1048576/.test(String(error))));
    await until('the stream to close', () => long.body.destroyed);
  });

  it('streams 256 MiB each way with bounded memory, and stops for a reader that stands still', async t => {
    const total = 256 << 20;
    const chunk = Buffer.alloc(64 * 1024, 1);
    let written = 0;
    let received = 0;
    const server = createServer((request, response) => {
      if (request.method === 'POST') {
        request.on('data', data => (received += data.length)).on('end', () => response.end());
        return;
      }
      written = 0;
      response.writeHead(200, { 'content-length': total });
      const more = (): void => {
        while (written < total) {
          written += chunk.length;
          if (!response.write(chunk)) return void response.once('drain', more);
        }
        response.end();
      };
      more();
    });
    const test = await proxyTo(httpService(await listen(t, server)));
    t.after(() => test.close());
    const down = test.request();
    await down.response;
    let before = -1;
    await until('the origin to stop', () => {
      const still = written === before;
      before = written;
      return still;
    });
    assert.ok(written < 16 << 20, `${written} bytes taken while nobody reads`);
    const start = process.memoryUsage.rss();
    let peak = 0;
    let read = 0;
    down.edge.on('data', data => {
      read += data.length;
      if ((read & 0xff_ffff) < data.length) peak = Math.max(peak, process.memoryUsage.rss());
    });
    await until('the download', () => read === total, 60_000);
    const up = test.request({ method: 'POST', bodyLength: total });
    for (let sent = 0; sent < total; sent += chunk.length) {
      if (!up.edge.write(chunk)) await new Promise(resolve => up.edge.once('drain', resolve));
      if ((sent & 0xff_ffff) === 0) peak = Math.max(peak, process.memoryUsage.rss());
    }
    up.edge.end();
    assert.equal((await within('the answer', up.response)).status, 200);
    assert.equal(received, total);
    assert.ok(peak - start < 128 << 20, `RSS grew by ${(peak - start) >> 20} MiB`);
  });
});
