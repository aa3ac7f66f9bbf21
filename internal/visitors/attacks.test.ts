// What a hostile visitor may send, byte by byte: each gets a clear answer or a closed connection, the origin sees none of
// it, and the edge serves the next visitor.

import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { openWorld } from '../../test/support/edge-world.ts';
import { listen } from '../../test/support/origin-server.ts';
import { RawVisitor } from '../../test/support/raw-visitor.ts';
import { until } from '../../test/support/wait.ts';

const host = 'Host: app.example.test\r\n';

async function worldOf(t: TestContext) {
  const seen: IncomingMessage[] = [];
  const origin = await listen(
    t,
    createServer((message, response) => {
      seen.push(message);
      message.resume().once('end', () => response.end(`${message.method} ${message.url}`));
    }),
  );
  const { world } = await openWorld(t, origin);
  const visit = async (bytes: string): Promise<RawVisitor> => {
    const visitor = await RawVisitor.open(t, world.httpPort);
    visitor.send(bytes);
    await visitor.answered();
    return visitor;
  };
  /** The edge still serves, and nothing of what came before reached the origin. */
  const check = async (): Promise<void> => {
    const visitor = await visit(`GET /after HTTP/1.1\r\n${host}\r\n`);
    await visitor.sees('GET /after');
    assert.equal(seen.filter(message => message.url === '/after').length, 1);
  };
  return { world, seen, visit, check };
}

const refused: readonly (readonly [string, string])[] = [
  [
    'both lengths',
    `POST /x HTTP/1.1\r\n${host}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n${host}\r\n`,
  ],
  [
    'two lengths',
    `POST /x HTTP/1.1\r\n${host}Content-Length: 0\r\nContent-Length: 44\r\n\r\nGET /smuggled HTTP/1.1\r\n${host}\r\n`,
  ],
  ['equal lengths twice', `POST /x HTTP/1.1\r\n${host}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`],
  ['a list of lengths', `POST /x HTTP/1.1\r\n${host}Content-Length: 3, 3\r\n\r\nabc`],
  ['a signed length', `POST /x HTTP/1.1\r\n${host}Content-Length: +3\r\n\r\nabc`],
  ['a length too large for a number', `POST /x HTTP/1.1\r\n${host}Content-Length: 99999999999999999999\r\n\r\n`],
  ['an unknown coding', `POST /x HTTP/1.1\r\n${host}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
  ['a coding inside chunked', `POST /x HTTP/1.1\r\n${host}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
  ['chunked not last', `POST /x HTTP/1.1\r\n${host}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`],
  [
    'chunked twice',
    `POST /x HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  ['a coding with a control character', `POST /x HTTP/1.1\r\n${host}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`],
  ['chunked over HTTP/1.0', `POST /x HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['a space before the colon', `POST /x HTTP/1.1\r\n${host}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`],
  ['a folded line', `GET /x HTTP/1.1\r\n${host}X: a\r\n Transfer-Encoding: chunked\r\n\r\n`],
  ['bare line feeds', 'GET /x HTTP/1.1\nHost: app.example.test\n\n'],
  ['a bare carriage return', `GET /x HTTP/1.1\r\n${host}X: a\rY: b\r\n\r\n`],
  ['a NUL in a value', `GET /x HTTP/1.1\r\n${host}X: a\0b\r\n\r\n`],
  ['a header without a name', `GET /x HTTP/1.1\r\n${host}: b\r\n\r\n`],
  ['a space in a name', `GET /x HTTP/1.1\r\n${host}X Y: b\r\n\r\n`],
  ['two hosts', `GET /x HTTP/1.1\r\n${host}Host: other.example.test\r\n\r\n`],
  ['no host', 'GET /x HTTP/1.1\r\n\r\n'],
  ['a host with a path', 'GET /x HTTP/1.1\r\nHost: app.example.test/y\r\n\r\n'],
  ['a host with a user', 'GET /x HTTP/1.1\r\nHost: app.example.test@other\r\n\r\n'],
  ['an absolute target with a user', `GET http://u@app.example.test/ HTTP/1.1\r\n${host}\r\n`],
  ['a target of another scheme', `GET ftp://app.example.test/ HTTP/1.1\r\n${host}\r\n`],
  ['a fragment', `GET /x#y HTTP/1.1\r\n${host}\r\n`],
  ['a path that does not begin with a slash', `GET x HTTP/1.1\r\n${host}\r\n`],
  ['HTTP/0.9', 'GET /x\r\n\r\n'],
  ['another version', `GET /x HTTP/3.7\r\n${host}\r\n`],
  ['a chunk size with a sign', `POST /x HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n`],
  ['a chunk size with 0x', `POST /x HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n`],
  [
    'a chunk size that overflows',
    `POST /x HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n1ffffffffffffffff1\r\na\r\n0\r\n\r\n`,
  ],
  ['a chunk longer than said', `POST /x HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n`],
  [
    'a chunk size ended by a bare line feed',
    `POST /x HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n`,
  ],
  [
    'an upgrade with a body',
    `GET /x HTTP/1.1\r\n${host}Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 3\r\n\r\nabc`,
  ],
  ['a garbage first line', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03'],
];

describe('a visitor over HTTP/1.1 that attacks', () => {
  it('is refused, and the origin sees no second request', { timeout: 90_000 }, async t => {
    const { visit, seen, check } = await worldOf(t);
    for (const [what, bytes] of refused) {
      const visitor = await visit(bytes);
      const [status = 0] = visitor.statuses;
      assert.ok([0, 400].includes(status), `${what}: ${visitor.text}`);
      await until(`${what}: the end of the connection`, () => visitor.closed || visitor.socket.readableEnded);
      assert.ok(!seen.some(message => message.url === '/smuggled' || message.complete), what);
      visitor.socket.destroy();
    }
    await check();
  });

  it('cannot pass for another, nor speak to the connector', async t => {
    const { visit, seen } = await worldOf(t);
    await visit(
      `GET http://app.example.test/x HTTP/1.1\r\nHost: other.example\r\nCF-Connecting-IP: 9.9.9.9\r\nCf-Ray: forged\r\n` +
        'X-Forwarded-Proto: https\r\nX-Forwarded-For: 8.8.8.8\r\ncf-cloudflared-proxy-src: a\r\n' +
        'Cf_Connecting_Ip: 9.9.9.9\r\nX-Forwarded_For: 9.9.9.9\r\nx_kept: 1\r\n' +
        'cf-cloudflared-proxy-connection-upgrade: control-stream\r\nCf-Int-Thing: b\r\nConnection: x-forwarded-for, x-gone\r\nX-Gone: y\r\n\r\n',
    );
    const [{ headers } = assert.fail('nothing arrived')] = seen;
    assert.equal(headers.host, 'app.example.test');
    assert.equal(headers['cf-connecting-ip'], '127.0.0.1');
    assert.equal(headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(headers['x-forwarded-proto'], 'http');
    // CGI would read them as the real ones.
    assert.deepEqual(
      Object.keys(headers).filter(name => name.includes('_')),
      ['x_kept'],
    );
    assert.match(String(headers['cf-ray']), /^[0-9a-f]{16}$/);
    assert.ok(
      !Object.keys(headers).some(
        name => name.startsWith('cf-cloudflared-') || name === 'x-gone' || name.startsWith('cf-int-'),
      ),
    );
  });

  it('cannot say what origins believe a proxy only', async t => {
    const { visit, seen } = await worldOf(t);
    const forged =
      'Cf-Warp-Tag-Id,Cf-Ipcountry,Cf-Visitor,Cf-Connecting-Ipv6,Cf-Pseudo-Ipv4,True-Client-Ip,Forwarded,X-Forwarded-Host,' +
      'X-Forwarded-Port,X-Forwarded-Server,X-Forwarded-Prefix,Cf-Access-Authenticated-User-Email,Proxy,X-Real-Ip,' +
      'X-Client-Ip,X_Forwarded_Host,True_Client_Ip,Cf_Visitor,X-Cluster-Client-Ip';
    const own =
      'Cf-Access-Client-Id,Cf-Access-Client-Secret,Cf-Access-Jump-Destination,Cf-Access-Jwt-Assertion,Cf-Access-Token'.split(
        ',',
      );
    const lines = [...forged.split(','), ...own].map(header => `${header}: forged\r\n`).join('');
    await visit(`GET /x HTTP/1.1\r\n${host}${lines}\r\n`);
    const [{ headers } = assert.fail('nothing arrived')] = seen;
    assert.equal(headers['cf-visitor'], '{"scheme":"http"}');
    const kept = Object.keys(headers).filter(header => headers[header] === 'forged');
    assert.deepEqual(kept.sort(), own.map(header => header.toLowerCase()).sort());
  });

  it('keeps what a visitor repeats, and passes headers that only look like framing', async t => {
    const { visit, seen } = await worldOf(t);
    await visit(
      `GET /x HTTP/1.1\r\n${host}Range: a\r\nRange: b\r\nContent_Length: 5\r\nHTTP2-Settings: AAAA\r\nX: \xe4\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n`,
    );
    const [{ rawHeaders, headers } = assert.fail('nothing arrived')] = seen;
    assert.equal(rawHeaders.filter(name => name.toLowerCase() === 'range').length, 2);
    assert.equal(headers.x, '\xe4');
    assert.equal(headers.cookie, 'a=1; b=2');
    assert.equal(headers.content_length, '5');
  });

  it('with too many or too large headers is told so', async t => {
    const { world, visit, check } = await worldOf(t);
    const many = await visit(`GET /x HTTP/1.1\r\n${host}${'a: b\r\n'.repeat(1_100)}\r\n`);
    assert.deepEqual(many.statuses, [431]);
    const large = await visit(`GET /x HTTP/1.1\r\n${host}X: ${'y'.repeat(140_000)}\r\n\r\n`);
    assert.deepEqual(large.statuses, [431]);
    // Larger than a connector's HTTP/2 takes: it must not cost the connection that all others share.
    const before = world.edge.registry.all()[0]?.id;
    const one = await visit(`GET /x HTTP/1.1\r\n${host}X: ${'y'.repeat(70_000)}\r\n\r\n`);
    const cookies = await visit(`GET /x HTTP/1.1\r\n${host}${`Cookie: ${'y'.repeat(40_000)}\r\n`.repeat(2)}\r\n`);
    const path = await visit(`GET /${'y'.repeat(70_000)} HTTP/1.1\r\n${host}\r\n`);
    assert.deepEqual(
      [one, cookies, path].map(visitor => visitor.statuses),
      [[431], [431], [414]],
    );
    await check();
    assert.equal(world.edge.registry.all()[0]?.id, before);
  });

  it('may pipeline: its requests run one after the other', async t => {
    const { world, visit, check } = await worldOf(t);
    const few = await visit(`GET /x HTTP/1.1\r\n${host}\r\n`.repeat(10));
    await until('ten answers', () => few.statuses.length === 10);
    const open = (): number => world.edge.registry.all().reduce((sum, one) => sum + one.connection.openStreams, 0);
    const many = await RawVisitor.open(t, world.httpPort);
    const count = 2_000;
    many.send(`GET /x HTTP/1.1\r\n${host}\r\n`.repeat(count));
    let most = 0;
    await until('all answers', () => {
      most = Math.max(most, open());
      return many.statuses.length === count;
    });
    assert.ok(most <= 2, `${most} streams at once`);
    await until('the end of its requests', () => open() === 0);
    await check();
  });
});
