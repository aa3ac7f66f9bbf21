// The API client against servers that answer as Cloudflare's API does, and as nothing should.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type ApiClient, createApiClient } from './client.ts';
import { requestQuickTunnel } from './quick-tunnel-client.ts';

const account = 'a'.repeat(32);
const id = '11111111-2222-4333-8444-555555555555';
const params = { account, id };
const tunnel = {
  id,
  name: 't',
  created_at: '2026-01-01T00:00:00Z',
  deleted_at: '0001-01-01T00:00:00Z',
  connections: null,
};

describe('API client', () => {
  let server: Server;
  let origin: string;
  let client: ApiClient;
  let answer: (request: IncomingMessage, response: ServerResponse, body: string) => void;
  beforeEach(async () => {
    server = createServer((request, response) => {
      let body = '';
      request.on('data', chunk => {
        body += String(chunk);
      });
      request.on('end', () => answer(request, response, body));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    client = createApiClient({ apiUrl: `${origin}/v4//`, apiToken: 'secret', userAgent: 'postern/1', perPage: 2 });
  });
  afterEach(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  const json = (status: number, value: unknown, type = 'application/json') => {
    answer = (_, response) => {
      response.writeHead(status, { 'Content-Type': type }).end(JSON.stringify(value));
    };
  };
  const envelope = (result: unknown, more: object = {}) => ({
    success: true,
    errors: [],
    messages: [],
    result,
    ...more,
  });

  it('sends what cloudflared sends and reads what comes', async () => {
    let seen: unknown;
    answer = (request, response, body) => {
      const { authorization, accept, 'user-agent': agent, 'content-type': type } = request.headers;
      seen = [request.method, request.url, authorization, accept, agent, type, body];
      response.setHeader('Content-Type', 'application/json; charset=utf-8');
      response.end(JSON.stringify(envelope({ ...tunnel, token: 'tok', later: 1 })));
    };
    const made = await client.createTunnel({ params: { account: 'a/b' }, body: { name: 't', tunnel_secret: 's' } });
    assert.deepEqual(made, { ...tunnel, deleted_at: null, connections: [], token: 'tok' });
    assert.deepEqual(seen, [
      ...['POST', '/v4/accounts/a%2Fb/cfd_tunnel', 'Bearer secret', 'application/json;version=1', 'postern/1'],
      ...['application/json', '{"name":"t","tunnel_secret":"s"}'],
    ]);
  });

  it('pages until a short page or the total', async () => {
    const urls: string[] = [];
    const serve = (pages: readonly object[]): void => {
      urls.length = 0;
      answer = (request, response) => {
        urls.push(request.url ?? '');
        response.setHeader('Content-Type', 'application/json').end(JSON.stringify(pages[urls.length - 1]));
      };
    };
    const page = (count: number, info: object): object =>
      envelope(Array(count).fill(tunnel), { result_info: { count, per_page: 2, ...info } });
    const list = () => client.listTunnels({ params: { account }, query: { name: 'x y', is_deleted: false } });
    serve([
      page(2, { page: 1, total_count: 5 }),
      page(2, { page: 2, total_count: 5 }),
      page(1, { page: 3, total_count: 5 }),
    ]);
    assert.equal((await list()).length, 5);
    assert.match(urls[2] ?? '', /name=x\+y&is_deleted=false&per_page=2&page=3$/);
    serve([page(2, { total_count: 4 }), page(2, { total_count: 4 })]);
    assert.equal((await list()).length, 4);
    serve([envelope([tunnel])]);
    assert.equal((await list()).length, 1);
    serve([page(2, { total_count: 5 }), { success: false, errors: [{ code: '7', message: 'no' }], result: null }]);
    await assert.rejects(list(), { message: 'Error Parsing page 2: Failed to list tunnels: code: 7, reason: no' });
  });

  it('gives the messages of cloudflared for every failure', async () => {
    const get = () => client.getTunnel({ params });
    const errors = [
      { code: 1003, message: 'one' },
      { code: '1004', message: 'two' },
    ];
    json(500, { success: false, errors: errors.slice(0, 1), messages: null, result: null });
    await assert.rejects(get(), { code: 'api.failed', message: 'Failed to get tunnel: code: 1003, reason: one' });
    json(200, { success: false, errors, messages: [], result: null });
    await assert.rejects(get(), {
      message: 'Failed to get tunnel: API errors: code: 1003, reason: one; code: 1004, reason: two; ',
    });
    json(200, { success: false, errors: [], result: null });
    await assert.rejects(get(), { message: 'Failed to get tunnel: API call failed' });
    for (const [status, code, message] of [
      [400, 'api.invalid', 'incorrect request parameters'],
      [
        401,
        'api.unauthorized',
        'unauthorized. The edge does not know this credential any more: log in again with `postern tunnel login`',
      ],
      [403, 'api.unauthorized', 'unauthorized'],
      [404, 'api.not-found', 'not found'],
      [409, 'api.conflict', 'API call to get tunnel failed with status 409: Conflict'],
      [429, 'api.rate-limited', 'API call to get tunnel failed with status 429: Too Many Requests'],
      [500, 'api.failed', 'API call to get tunnel failed with status 500: Internal Server Error'],
      [201, 'api.failed', 'API call to get tunnel failed with status 201: Created'],
    ] as const) {
      json(status, { errors: [{ code: 1, message: 'hidden' }] }, 'text/plain');
      await assert.rejects(get(), { code, message });
    }
    for (const result of [undefined, null, [], { ...tunnel, id: 'x' }]) {
      json(200, envelope(result));
      await assert.rejects(get(), { message: 'Failed to get tunnel: the API response was an unexpected type' });
    }
    answer = (_, response) => response.setHeader('Content-Type', 'application/json').end('{"success":tr');
    await assert.rejects(get(), { message: 'Failed to get tunnel: the API response was an unexpected type' });
  });

  it('looks only at the status of a deletion', async () => {
    answer = (_, response) => response.end();
    await client.deleteTunnel({ params, query: { cascade: true } });
    json(200, envelope(null));
    await client.cleanupConnections({ params });
    json(400, { errors: [{ code: 1, message: 'no' }] });
    await assert.rejects(client.deleteTunnel({ params }), { message: 'Failed to delete tunnel: code: 1, reason: no' });
  });

  it('ends by deadline, by abort, and when there is nobody or too much', async () => {
    answer = () => undefined;
    const impatient = createApiClient({ apiUrl: origin, apiToken: 'x', userAgent: 'x', timeoutMs: 50 });
    await assert.rejects(impatient.getTunnel({ params }), {
      message: /^REST request failed: .*no answer within 0\.05 s\. Is the edge running at http:\/\/127\.0\.0\.1:\d+\?$/,
    });
    const abort = new AbortController();
    const waiting = client.getTunnel({ params }, { signal: abort.signal });
    abort.abort();
    await assert.rejects(waiting, { code: 'api.failed', message: /^REST request failed: GET / });
    answer = (_, response) => {
      response.writeHead(200, { 'Content-Length': 100 });
      response.write('{');
      response.destroy();
    };
    await assert.rejects(client.getTunnel({ params }), { code: 'api.failed', message: /^REST request failed: / });
    answer = (_, response) => {
      const chunk = Buffer.alloc(1 << 20, 0x20);
      const feed = (): void => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', feed);
      feed();
    };
    await assert.rejects(client.getTunnel({ params }), { message: /larger than 16777216 bytes/ });
    const nobody = createApiClient({ apiUrl: 'http://127.0.0.1:1', apiToken: 'x', userAgent: 'x' });
    await assert.rejects(nobody.getTunnel({ params }), {
      message: /^REST request failed: .*ECONNREFUSED.*\. Is the edge running at http:\/\/127\.0\.0\.1:1\?$/,
    });
  });

  it('asks for quick tunnels without minding status and success', async () => {
    let seen: unknown;
    const result = { id, name: '', hostname: 'abc.trycloudflare.com', account_tag: 'tag', secret: 'AAAA' };
    answer = (request, response, body) => {
      seen = [request.method, request.url, request.headers['content-type'], body];
      response.statusCode = 201;
      response.end(JSON.stringify({ success: false, errors: [], result }));
    };
    const ask = () => requestQuickTunnel({ serviceUrl: origin, userAgent: 'x' });
    assert.deepEqual(await ask(), result);
    assert.deepEqual(seen, ['POST', '/tunnel', 'application/json', '']);
    json(500, { result: { ...result, id: undefined } });
    await assert.rejects(ask(), { message: /^failed to parse quick Tunnel ID: / });
    json(429, { errors: [{ code: 1, message: 'slow down' }] });
    await assert.rejects(ask(), { code: 'api.rate-limited', message: /slow down$/ });
    answer = (_, response) => response.end('<html>');
    await assert.rejects(ask(), { code: 'api.failed', message: /^failed to unmarshal quick Tunnel: / });
  });
});
