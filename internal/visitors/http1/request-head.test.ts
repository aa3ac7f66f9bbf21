import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createBodyDecoder } from './body-decoder.ts';
import { parseHttp1Head } from './request-head.ts';

describe('the head of an HTTP/1.1 request', () => {
  it('keeps names, order and every byte of values', () => {
    const high = Array.from({ length: 0x80 }, (_, index) => String.fromCharCode(0x80 + index)).join('');
    const head = parseHttp1Head(`GET /a?b HTTP/1.1\r\nHost: h\r\nX-Y:${high}\r\nx-y: \t a\tb  \r\nEmpty:`);
    assert.ok(typeof head === 'object');
    assert.deepEqual(head.headers, ['Host', 'h', 'X-Y', high, 'x-y', 'a\tb', 'Empty', '']);
    assert.deepEqual([head.method, head.target, head.host, head.bodyLength], ['GET', '/a?b', 'h', 0]);
  });

  it('takes every token for a method', () => {
    for (const method of ['RDG_OUT_DATA', 'RPC_IN_DATA', 'LIST', 'M-SEARCH', 'get', "!#$%&'*+-.^_`|~09"]) {
      const head = parseHttp1Head(`${method} / HTTP/1.1\r\nHost: h`);
      assert.ok(typeof head === 'object' && head.method === method, method);
    }
    for (const method of ['', 'G(T', 'GÉT', 'G T']) assert.equal(parseHttp1Head(`${method} / HTTP/1.1`), 400);
  });

  it('knows what follows: a body, another request, another protocol', () => {
    const after = (lines: string, version = '1.1') => {
      const head = parseHttp1Head(`GET / HTTP/${version}\r\nHost: h${lines}`);
      assert.ok(typeof head === 'object', lines);
      return [head.bodyLength, head.persists, head.upgrade, head.expectsContinue];
    };
    assert.deepEqual(after(''), [0, true, false, false]);
    assert.deepEqual(after('', '1.0'), [0, false, false, false]);
    assert.deepEqual(after('\r\nConnection: a, Keep-Alive', '1.0'), [0, true, false, false]);
    assert.deepEqual(after('\r\nConnection: x\r\nConnection: CLOSE'), [0, false, false, false]);
    assert.deepEqual(after('\r\nContent-Length: 07\r\nExpect: 100-Continue'), [7, true, false, true]);
    assert.deepEqual(after('\r\nTransfer-Encoding: Chunked'), [-1, true, false, false]);
    assert.deepEqual(after('\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade'), [0, true, true, false]);
    assert.deepEqual(after('\r\nUpgrade: websocket'), [0, true, false, false]);
    assert.deepEqual(after('\r\nUpgrade: h2c\r\nConnection: upgrade'), [0, true, false, false]);
  });

  it('refuses what others might read differently', () => {
    const lines = [
      'Content-Length: 1\r\nTransfer-Encoding: chunked',
      'Content-Length: 1\r\nContent-Length: 1',
      'Content-Length: 1,1',
      'Content-Length: ',
      'Content-Length: 1234567890123456',
      'Transfer-Encoding: chunked, chunked',
      'Transfer-Encoding: \x0bchunked',
      'Host : h',
      ' folded: a',
      'X: a\x00',
      'X: a\x7f',
      'X: a\nb',
      'no colon',
      ': no name',
      'Host: other',
    ];
    for (const line of lines) assert.equal(parseHttp1Head(`GET / HTTP/1.1\r\nHost: h\r\n${line}`), 400, line);
    for (const first of ['GET /', 'GET / HTTP/2.0', 'GET  / HTTP/1.1', 'GET / HTTP/1.1 ', 'GET /\x7f HTTP/1.1', ''])
      assert.equal(parseHttp1Head(`${first}\r\nHost: h`), 400, first);
    assert.equal(parseHttp1Head(`GET / HTTP/1.1${'\r\na: b'.repeat(1_025)}`), 431);
  });
});

describe('the body of an HTTP/1.1 request', () => {
  /** Data, bytes used of all, and whether it is complete; fed in pieces of `size`. */
  function decode(length: number, text: string, size: number): [data: string, used: number, isDone: boolean] {
    const decoder = createBodyDecoder(length);
    const bytes = Buffer.from(text, 'latin1');
    let data = '';
    let used = 0;
    while (used < bytes.length && !decoder.isDone) {
      const taken = decoder.feed(bytes.subarray(used, used + size), piece => {
        data += piece.toString('latin1');
      });
      if (taken < 0) return [data, -1, false];
      used += taken;
    }
    return [data, used, decoder.isDone];
  }

  it('ends where it says, however it arrives', () => {
    const chunked = '3;a="b"\r\nabc\r\n00A \r\n0123456789\r\n0\r\nX: y\r\n\r\n';
    for (let size = 1; size < 60; size += 1) {
      assert.deepEqual(decode(5, 'helloGET /', size), ['hello', 5, true]);
      assert.deepEqual(decode(-1, `${chunked}GET /`, size), ['abc0123456789', chunked.length, true]);
    }
    for (let end = 1; end < chunked.length; end += 1) assert.equal(decode(-1, chunked.slice(0, end), 7)[2], false);
  });

  it('is refused with broken framing, however it arrives', () => {
    const broken = [
      '-1\r\n',
      '0x1\r\n',
      '\r\n',
      'g\r\n',
      '1\na',
      '1\r\nab\r\n',
      '1\r\na\n',
      '0\r\nbad line\r\n',
      '0\r\n\n',
    ];
    broken.push('1'.repeat(14).concat('\r\n'), '1;\x01\r\n', `0\r\n${'X: y\r\n'.repeat(5_000)}`);
    broken.push(`1;${'x'.repeat(17_000)}`, `1;${'x'.repeat(900)}\r\na\r\n`.repeat(20), ' 1\r\n');
    for (const text of broken) {
      for (const size of [1, 3, 100_000])
        assert.equal(decode(-1, text, size)[1], -1, JSON.stringify(text.slice(0, 40)));
    }
  });
});
