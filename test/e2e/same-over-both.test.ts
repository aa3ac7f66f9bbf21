// The protocol between connector and edge must not decide what an origin sees or a visitor gets: the same exchanges over
// HTTP/2 and QUIC, byte for byte but for what differs from request to request.

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { openWorld } from '../support/edge-world.ts';
import { listenRaw } from '../support/origin-server.ts';
import { RawVisitor } from '../support/raw-visitor.ts';
import { until } from '../support/wait.ts';

interface Case {
  readonly name: string;
  /** Request line and fields without Host, and a body behind an empty line. */
  readonly request: string;
  /** What the origin sends; it closes the connection then. */
  readonly answer: string;
  /** What the origin must have seen, '' for nothing. */
  readonly origin: RegExp | '';
  readonly visitor: RegExp;
}

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const get = 'GET / HTTP/1.1\r\n';
const long = 'x'.repeat(33 * 1024);

const cases: readonly Case[] = [
  {
    name: 'several cookie fields reach the origin as one',
    request: `${get}Cookie: a=1\r\nAccept: */*\r\nCookie: b=2\r\ncookie: c=3\r\n\r\n`,
    answer: ok,
    origin: /\r\nCookie: a=1; b=2; c=3\r\n/,
    visitor: /^HTTP\/1\.1 200 /,
  },
  {
    name: 'names of fields are in canonical case at the origin',
    request: `POST / HTTP/1.1\r\nsoapaction: urn:x\r\nX-mixed-CASE: 1\r\nSec-WEBSOCKET-key: k\r\nContent-Length: 2\r\n\r\nhi`,
    answer: ok,
    origin: /\r\nSoapaction: urn:x\r\nX-Mixed-Case: 1\r\nSec-WebSocket-Key: k\r\n[\s\S]*hi$/,
    visitor: /ok$/,
  },
  {
    name: 'names and values of answers are as the origin wrote them',
    request: `${get}\r\n`,
    answer:
      'HTTP/1.1 200 Fine\r\nx-lower: \xe9\r\nX-UPPER:  a, b \r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n',
    origin: /^GET \/ /,
    visitor: /\r\nx-lower: \xe9\r\nX-UPPER: a, b\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n/,
  },
  {
    name: '204 loses a Content-Length',
    request: `${get}\r\n`,
    answer: 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nX-Kept: 1\r\n\r\n',
    origin: /^GET/,
    visitor: /^HTTP\/1\.1 204 No Content\r\nX-Kept: 1\r\n(?![\s\S]*content-length)/i,
  },
  {
    name: '304 keeps its Content-Length',
    request: `${get}If-None-Match: "x"\r\n\r\n`,
    answer: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: "x"\r\n\r\n',
    origin: /^GET/,
    visitor: /^HTTP\/1\.1 304 Not Modified\r\nContent-Length: 5\r\nETag: "x"\r\n/,
  },
  {
    name: 'interim answers end at the connector',
    request: `${get}\r\n`,
    answer: `HTTP/1.1 103 Early Hints\r\nContent-Length: 3\r\nLink: </x>\r\n\r\n${ok}`,
    origin: /^GET/,
    visitor: /^HTTP\/1\.1 200 OK\r\n[\s\S]*ok$/,
  },
  {
    name: 'a status above 599 is none',
    request: `${get}\r\n`,
    answer: 'HTTP/1.1 999 Request Denied\r\nContent-Length: 2\r\n\r\nno',
    origin: /^GET/,
    visitor: /^HTTP\/1\.1 502 [\s\S]*Postern-Failed-Hop: origin/,
  },
  {
    name: 'OPTIONS asks about the server as a whole',
    request: 'OPTIONS * HTTP/1.1\r\n\r\n',
    answer: ok,
    origin: /^OPTIONS \* HTTP\/1\.1\r\nHost: app\.example\.test\r\n/,
    visitor: /^HTTP\/1\.1 200 /,
  },
  {
    name: 'OPTIONS of a path',
    request: 'OPTIONS / HTTP/1.1\r\n\r\n',
    answer: ok,
    origin: /^OPTIONS \/ HTTP/,
    visitor: /^HTTP\/1\.1 200 /,
  },
  {
    name: 'HEAD keeps the length of what it does not send',
    request: 'HEAD / HTTP/1.1\r\n\r\n',
    answer: 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n',
    origin: /^HEAD/,
    visitor: /\r\nContent-Length: 1000\r\n[\s\S]*\r\n\r\n$/,
  },
  {
    name: 'trailers follow for a visitor who takes them',
    request: `${get}TE: trailers\r\n\r\n`,
    answer: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: abc\r\nX-Two: 2\r\n\r\n',
    origin: /\r\nTe: trailers\r\n/,
    visitor: /\r\n4\r\nbody\r\n0\r\nX-Sum: abc\r\nX-Two: 2\r\n\r\n$/i,
  },
  {
    name: 'a body of unknown length goes in chunks',
    request: 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
    answer: 'HTTP/1.1 200 OK\r\n\r\nto the end',
    origin: /\r\nTransfer-Encoding: chunked\r\n[\s\S]*\r\n\r\n2\r\nhi\r\n0\r\n\r\n$/,
    visitor: /to the end/,
  },
  {
    name: 'an answer that breaks off shows as one',
    request: `${get}\r\n`,
    answer: 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf',
    origin: /^GET/,
    visitor: /^HTTP\/1\.1 200 OK\r\n[\s\S]*half$/,
  },
  {
    name: 'a response head of 40 KiB passes',
    request: `${get}\r\n`,
    answer: `HTTP/1.1 200 OK\r\nX-Long: ${'y'.repeat(40 * 1024)}\r\nContent-Length: 0\r\n\r\n`,
    origin: /^GET/,
    visitor: /^HTTP\/1\.1 200 OK\r\nX-Long: y{40960}\r\n/,
  },
  {
    name: 'a request head of 58 KiB passes',
    request: `${get}X-A: ${'a'.repeat(29 * 1024)}\r\nX-B: ${'b'.repeat(29 * 1024)}\r\n\r\n`,
    answer: ok,
    origin: /X-A: a{29696}\r\nX-B: b{29696}\r\n/,
    visitor: /^HTTP\/1\.1 200 /,
  },
  {
    name: 'a path that is too long',
    request: `GET /${long} HTTP/1.1\r\n\r\n`,
    answer: ok,
    origin: '',
    visitor: /^HTTP\/1\.1 414 [\s\S]*Postern-Failed-Hop: edge/,
  },
  {
    name: 'a field that is too long',
    request: `${get}X-Long: ${long}\r\n\r\n`,
    answer: ok,
    origin: '',
    visitor: /^HTTP\/1\.1 431 [\s\S]*Postern-Failed-Hop: edge/,
  },
  {
    name: 'fields that are too many',
    request: `${get}${`X-Some: ${'z'.repeat(20_000)}\r\n`.repeat(4)}\r\n`,
    answer: ok,
    origin: '',
    visitor: /^HTTP\/1\.1 431 [\s\S]*Postern-Failed-Hop: edge/,
  },
];

interface Outcome {
  readonly origin: string;
  readonly visitor: string;
}

/** What differs between two requests that are alike. */
function steady(text: string): string {
  return text.replace(/^(Date|Cf-Ray|Cf-Warp-Tag-Id|Postern-Request-Id|Request id): .*$/gim, '$1: …');
}

async function outcomes(t: TestContext, protocol: 'http2' | 'quic'): Promise<Outcome[]> {
  let seen = '';
  let answer = '';
  const origin = await listenRaw(t, socket => {
    socket.on('data', chunk => {
      seen += chunk.toString('latin1');
      if (isWhole(seen)) socket.end(answer, 'latin1');
    });
  });
  const { world, tunnel } = await openWorld(t, origin, { protocol });
  const all: Outcome[] = [];
  for (const each of cases) {
    seen = '';
    answer = each.answer;
    const visitor = await RawVisitor.open(t, world.httpPort);
    visitor.send(each.request.replace('\r\n', `\r\nHost: ${tunnel.host}\r\nConnection: close\r\n`));
    await until(`the end of: ${each.name}`, () => visitor.closed || visitor.socket.readableEnded);
    visitor.socket.destroy();
    all.push({ origin: steady(seen), visitor: steady(visitor.text) });
  }
  return all;
}

/** Whether a request is complete. */
function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return false;
  if (/\r\nTransfer-Encoding: chunked\r\n/i.test(text)) return text.endsWith('\r\n0\r\n\r\n');
  const length = Number(/\r\nContent-Length: (\d+)\r\n/i.exec(text)?.[1] ?? 0);
  return text.length >= end + 4 + length;
}

describe('the same over HTTP/2 and QUIC', () => {
  it('for every exchange', async t => {
    const overHttp2 = await outcomes(t, 'http2');
    const overQuic = await outcomes(t, 'quic');
    for (const [index, { name, origin, visitor }] of cases.entries()) {
      const seen = overHttp2[index];
      assert.deepEqual(overQuic[index], seen, name);
      assert.match(seen?.visitor ?? '', visitor, name);
      if (origin === '') assert.equal(seen?.origin, '', name);
      else assert.match(seen?.origin ?? '', origin, name);
    }
  });
});
