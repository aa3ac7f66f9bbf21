import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isPosternError } from '../../errors/error.ts';
import type { ResponseHead } from './response-head.ts';
import { ResponseParser, type ResponseSink } from './response-parser.ts';

interface Seen {
  heads: ResponseHead[];
  body: string;
  raw: string;
  ends: number;
  trailers: string[] | undefined;
}

function parse(
  pieces: readonly Buffer[],
  options: { method?: string; upgrade?: boolean; finish?: boolean } = {},
): Seen {
  const seen: Seen = { heads: [], body: '', raw: '', ends: 0, trailers: undefined };
  const sink: ResponseSink = {
    onHead: head => void seen.heads.push(head),
    onData: piece => {
      seen.body += piece.toString('latin1');
    },
    onRaw: piece => {
      seen.raw += piece.toString('latin1');
    },
    onEnd: trailers => {
      seen.ends += 1;
      seen.trailers = trailers;
    },
  };
  const parser = new ResponseParser(sink);
  parser.expect(options.method ?? 'GET', options.upgrade ?? false);
  for (const piece of pieces) parser.feed(piece);
  if (options.finish === true) parser.finish();
  return seen;
}

const whole = (text: string): Buffer[] => [Buffer.from(text, 'latin1')];
const bytewise = (text: string): Buffer[] => [...Buffer.from(text, 'latin1')].map(byte => Buffer.from([byte]));
const malformed = (error: unknown): boolean => isPosternError(error, 'origin.failed');

const chunked =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A:  b \t\r\n\r\n5;ext="1"\r\nhello\r\n00a \r\n0123456789\r\n0\r\nX-T: 1\r\nContent-Length: 3\r\n\r\n';
const sized =
  'HTTP/1.1 200\r\nContent-Length: 5\r\nConnection: Keep-Alive\r\nKeep-Alive: max=3, timeout=7\r\n\r\nhello';
const interim = `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n${sized}`;

describe('response parser', () => {
  for (const [name, cut] of [
    ['in one piece', whole],
    ['byte by byte', bytewise],
  ] as const) {
    it(`reads length, chunked, interim and upgraded responses ${name}`, () => {
      const a = parse(cut(sized));
      assert.deepEqual([a.body, a.ends, a.heads[0]?.reusable, a.heads[0]?.keepAliveMs], ['hello', 1, true, 7000]);
      assert.deepEqual(a.heads[0]?.headers, ['Content-Length', '5']);

      const b = parse(cut(chunked));
      assert.deepEqual([b.body, b.ends, b.heads[0]?.headers], ['hello0123456789', 1, ['X-A', 'b']]);
      assert.deepEqual(b.trailers, ['X-T', '1']);

      const c = parse(cut(interim));
      assert.deepEqual(
        c.heads.map(head => head.status),
        [103, 100, 200],
      );
      assert.equal(c.body, 'hello');

      const d = parse(cut('HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x00xyz'), {
        upgrade: true,
      });
      assert.deepEqual([d.heads[0]?.status, d.heads[0]?.upgrade, d.raw, d.ends], [101, 'websocket', '\x81\x00xyz', 0]);

      const e = parse(cut('HTTP/1.0 200 OK\r\n\r\nuntil the end'), { finish: true });
      assert.deepEqual([e.body, e.ends, e.heads[0]?.reusable], ['until the end', 1, false]);

      const f = parse(cut('HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n'));
      assert.deepEqual([f.body, f.ends, f.trailers], ['', 1, undefined]);
    });
  }

  it('knows which responses have no body', () => {
    assert.equal(parse(whole('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n'), { method: 'HEAD' }).ends, 1);
    assert.equal(parse(whole('HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n')).ends, 1);
    const odd = parse(whole('HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n'));
    assert.deepEqual([odd.ends, odd.heads[0]?.reusable], [1, false]);
    assert.equal(parse(whole('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')).ends, 1);
  });

  it('says when the connection is of no further use', () => {
    const reusable = (head: string): boolean | undefined =>
      parse(whole(`${head}\r\nContent-Length: 0\r\n\r\n`)).heads[0]?.reusable;
    assert.equal(reusable('HTTP/1.1 200 OK'), true);
    assert.equal(reusable('HTTP/1.1 200 OK\r\nConnection: x, Close'), false);
    assert.equal(reusable('HTTP/1.0 200 OK'), false);
    assert.equal(reusable('HTTP/1.0 200 OK\r\nConnection: keep-alive'), true);
  });

  const mended: Readonly<Record<string, readonly [text: string, headers: readonly string[], body: string]>> = {
    'bare LF': ['HTTP/1.1 200 OK\nContent-Length: 5\nA: b\n\nhello', ['Content-Length', '5', 'A', 'b'], 'hello'],
    'bare LF before a body with empty lines': [
      'HTTP/1.1 200 OK\nContent-Length: 8\n\nab\r\n\r\ncd',
      ['Content-Length', '8'],
      'ab\r\n\r\ncd',
    ],
    'bare LF here and there': [
      'HTTP/1.1 200 OK\r\nA: b\nContent-Length: 1\r\n\nx',
      ['A', 'b', 'Content-Length', '1'],
      'x',
    ],
    'a folded field': [
      'HTTP/1.1 200 OK\r\nCSP: a;\r\n\t b;\r\n c\r\nContent-Length: 1\r\n\r\nx',
      ['CSP', 'a; b; c', 'Content-Length', '1'],
      'x',
    ],
    'a space before the colon': [
      'HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello',
      ['Content-Length', '5'],
      'hello',
    ],
    'a length beside chunked': [
      'HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n2\r\nab\r\n0\r\n\r\n',
      ['A', 'b'],
      'ab',
    ],
  };
  for (const [name, [text, headers, body]] of Object.entries(mended)) {
    it(`mends ${name}`, () => {
      for (const cut of [whole, bytewise]) {
        const seen = parse(cut(text));
        assert.deepEqual([seen.heads[0]?.headers, seen.body, seen.ends], [headers, body, 1]);
      }
    });
  }

  it('does not use a connection again whose response had two lengths', () => {
    const text = 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n';
    assert.equal(parse(whole(text)).heads[0]?.reusable, false);
  });

  const refused: Readonly<Record<string, string>> = {
    'bare CR': 'HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n',
    'a field without a name': 'HTTP/1.1 200 OK\r\n: x\r\n\r\n',
    'a field without a colon': 'HTTP/1.1 200 OK\r\nabc\r\n\r\n',
    'a NUL in a value': 'HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n',
    'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello',
    'a list of lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello',
    'a signed length': 'HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello',
    'a length beyond 10^15': 'HTTP/1.1 200 OK\r\nContent-Length: 1000000000000000\r\n\r\nhello',
    'another coding': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    'chunked in 1.0': 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'another version': 'HTTP/2.0 200 OK\r\n\r\n',
    'another protocol': 'SSH-2.0-OpenSSH_9.2\r\n\r\n',
    'another protocol that waits for us': 'SSH-2.0-OpenSSH_9.2\r\n',
    'a length between two lines': 'HTTP/1.1 200 OK\r\nContent-Length\r\n : 5\r\n\r\nhello',
    'a status of two digits': 'HTTP/1.1 99 x\r\n\r\n',
    'an unasked 101': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n',
    'bytes after the end': `${sized}HTTP/1.1 200 OK\r\n\r\n`,
    'a chunk size that is none': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n',
    'an empty chunk size': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n',
    'a huge chunk size': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000000000000\r\n',
    'a chunk longer than its size': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n',
    'a chunk size ended by LF': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n',
    'a bad trailer': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na b: c\r\n\r\n',
  };
  for (const [name, text] of Object.entries(refused)) {
    it(`refuses ${name}`, () => {
      assert.throws(() => parse(whole(text)), malformed);
      assert.throws(() => parse(bytewise(text)), malformed);
    });
  }

  it('bounds heads, size lines and trailers', () => {
    const endless = (start: string, filler: string): void => {
      const parser = new ResponseParser({
        onHead: () => undefined,
        onData: () => undefined,
        onEnd: () => undefined,
        onRaw: () => undefined,
      });
      parser.expect('GET', false);
      parser.feed(Buffer.from(start));
      const block = Buffer.from(filler.repeat(1000));
      for (let index = 0; index < 1000; index += 1) parser.feed(block);
    };
    assert.throws(() => endless('HTTP/1.1 200 OK\r\n', 'A: b\r\n'), malformed);
    assert.throws(() => endless('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;', 'x'), malformed);
    assert.throws(() => endless('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n', 'A: b\r\n'), malformed);
  });

  it('fails cleanly for every truncation', () => {
    for (const text of [sized, chunked, interim]) {
      for (let length = 0; length < text.length; length += 1) {
        assert.throws(() => parse(whole(text.slice(0, length)), { finish: true }), malformed, `cut at ${length}`);
      }
    }
  });

  it('never does more than throw when bytes are flipped', () => {
    for (const text of [sized, chunked, interim]) {
      const bytes = Buffer.from(text, 'latin1');
      for (let index = 0; index < bytes.length; index += 1) {
        for (const mask of [0x01, 0x20, 0x80, 0xff]) {
          const flipped = Buffer.from(bytes);
          flipped[index] = (flipped[index] ?? 0) ^ mask;
          try {
            parse([flipped], { finish: true });
          } catch (error) {
            assert.ok(malformed(error));
          }
        }
      }
    }
  });
});
