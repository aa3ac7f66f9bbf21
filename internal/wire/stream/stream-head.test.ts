import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type RecordedEntry, readMessage, readVectors, sentBy } from '../../../test/support/vectors.ts';
import { isPosternError } from '../../errors/error.ts';
import { type ConnectRequest, decodeConnectRequest, encodeConnectRequest } from './connect-request.ts';
import { decodeConnectResponse, encodeConnectResponse } from './connect-response.ts';
import { requestPreamble } from './preamble.ts';
import {
  decodeRequestHead,
  decodeResponseHead,
  encodeRefusalHead,
  encodeRequestHead,
  encodeResponseHead,
  measureStreamHead,
  type RequestStreamHead,
} from './stream-head.ts';

const malformed = (error: unknown): boolean => isPosternError(error, 'protocol.malformed');
const requestStreams: readonly RecordedEntry[] = readVectors('quic-datagram-v2').filter(entry =>
  sentBy(entry, 'edge').subarray(0, 8).equals(requestPreamble),
);

/** Reads a head as a transport does: as soon as enough is there. */
function readRequest(bytes: Buffer): RequestStreamHead {
  return decodeRequestHead(bytes, measureStreamHead(bytes));
}
const requestOf = (request: ConnectRequest): RequestStreamHead =>
  readRequest(encodeConnectRequest(request, requestPreamble));

describe('request stream heads', () => {
  it('read and write the vector', () => {
    const bytes = readMessage('quic_data_stream_request');
    assert.equal(measureStreamHead(bytes), bytes.length);
    const head = readRequest(bytes);
    assert.deepEqual(head, {
      kind: 'http',
      method: 'GET',
      scheme: 'https',
      host: 'app.example.com',
      path: '/hi?x=1',
      headers: ['Cf-Ray', '8f00-LHR'],
      bodyLength: 0,
    });
    assert.equal(encodeRequestHead(head).toString('hex'), bytes.toString('hex'));
    const answer = readMessage('quic_data_stream_response_head');
    const response = { status: 200, headers: ['Content-Type', 'text/plain'] };
    assert.deepEqual(decodeResponseHead('http', answer, answer.length), { kind: 'response', ...response });
    assert.equal(encodeResponseHead('http', response).toString('hex'), answer.toString('hex'));
  });

  it('read every recorded stream, and write its messages again to the same bytes', () => {
    assert.ok(requestStreams.length >= 11);
    for (const entry of requestStreams) {
      const start = requestPreamble.length;
      const asked = sentBy(entry, 'edge');
      const askedLength = measureStreamHead(asked);
      const request = decodeConnectRequest(asked, start, askedLength - start);
      assert.deepEqual(encodeConnectRequest(request, requestPreamble), asked.subarray(0, askedLength), entry.name);
      const head = decodeRequestHead(asked, askedLength);
      const answered = sentBy(entry, 'connector');
      const answeredLength = measureStreamHead(answered);
      const response = decodeConnectResponse(answered, start, answeredLength - start);
      const answer = decodeResponseHead(head.kind, answered, answeredLength);
      assert.equal(answer.kind, response.error === '' ? 'response' : 'refusal', entry.name);
      // This one has an empty list where the others, and ours, have none; both mean the same.
      if (entry.name === 'quic-tcp-echo') continue;
      assert.deepEqual(
        encodeConnectResponse(response, requestPreamble),
        answered.subarray(0, answeredLength),
        entry.name,
      );
    }
  });

  it('mean what was recorded', () => {
    const heads = Object.fromEntries(requestStreams.map(entry => [entry.name, readRequest(sentBy(entry, 'edge'))]));
    assert.deepEqual(heads['quic-http-post']?.bodyLength, 5);
    assert.deepEqual(heads['quic-http-post-chunked']?.bodyLength, -1);
    assert.equal(heads['quic-http-post-chunked']?.headers.includes('Transfer-Encoding'), false);
    assert.equal(heads['quic-http-multi-value']?.headers.filter(each => each === 'Cookie').length, 2);
    assert.deepEqual([heads['quic-websocket']?.kind, heads['quic-websocket']?.bodyLength], ['websocket', -1]);
    const tcp = heads['quic-tcp-echo'];
    assert.deepEqual([tcp?.kind, tcp?.host, tcp?.headers[0]], ['tcp', '127.0.0.1:9002', 'FlowID']);
    const answers = Object.fromEntries(
      requestStreams.map(entry => {
        const bytes = sentBy(entry, 'connector');
        return [entry.name, decodeResponseHead(heads[entry.name]?.kind ?? 'http', bytes, measureStreamHead(bytes))];
      }),
    );
    const status = (name: string): number | undefined => {
      const answer = answers[name];
      return answer?.kind === 'response' ? answer.status : undefined;
    };
    assert.deepEqual(
      ['quic-http-get', 'quic-http-404', 'quic-http-status-rule', 'quic-websocket', 'quic-tcp-echo'].map(status),
      [200, 404, 418, 101, 200],
    );
    const down = answers['quic-http-origin-down'];
    assert.ok(down?.kind === 'refusal');
    assert.match(down.message, /^Unable to reach the origin service/);
    assert.equal(down.rateLimited, false);
  });

  it('are recognised byte by byte, at the right byte', () => {
    for (const entry of requestStreams) {
      const bytes = sentBy(entry, 'edge');
      const length = measureStreamHead(bytes);
      for (let given = 0; given < length; given += 1) {
        const need = measureStreamHead(bytes.subarray(0, given));
        assert.ok(need > given && need <= length, `${entry.name}: ${need} needed with ${given} given`);
      }
      assert.equal(measureStreamHead(bytes.subarray(0, length)), length);
    }
  });

  it('survive a round trip of every kind', () => {
    const base = { method: 'POST', scheme: 'http', host: 'a.example:8080', path: '/x?y=%20z' } as const;
    const heads: RequestStreamHead[] = [
      { ...base, kind: 'http', headers: ['Content-Length', '7'], bodyLength: 7 },
      { ...base, kind: 'http', headers: ['X-A', '\u00ff\u0080', 'X-A', ''], bodyLength: -1 },
      { ...base, kind: 'http', headers: [], bodyLength: 0 },
      { ...base, kind: 'websocket', headers: ['Sec-WebSocket-Key', 'k'], bodyLength: -1 },
      {
        kind: 'tcp',
        method: 'GET',
        scheme: 'https',
        host: '[fd00::1]:22',
        path: '/',
        headers: ['FlowID', '1'],
        bodyLength: -1,
      },
    ];
    for (const head of heads) assert.deepEqual(readRequest(encodeRequestHead(head)), head);
    const added = readRequest(encodeRequestHead({ ...base, kind: 'http', headers: [], bodyLength: 9 }));
    assert.deepEqual(added.headers, ['Content-Length', '9']);
    const big = Array.from({ length: 400 }, (_, index) => [`X-${index}`, 'v'.repeat(index)]).flat();
    const long: RequestStreamHead = { ...base, kind: 'http', headers: big, bodyLength: 0 };
    assert.deepEqual(readRequest(encodeRequestHead(long)), long);
    const odd = encodeRequestHead({ ...base, host: 'evil/../x', kind: 'http', headers: [], bodyLength: 0 });
    assert.deepEqual([readRequest(odd).path, readRequest(odd).host], [base.path, 'evil/../x']);
  });

  it('carry text beyond one byte a character as UTF-8', () => {
    const head = requestOf({ dest: '/', type: 'http', metadata: ['HttpHeader:X', '€ü', 'HttpHeader:Y', 'ü'] });
    assert.equal(Buffer.from(head.headers[1] ?? '', 'latin1').toString(), '€ü');
    assert.equal(head.headers[3], 'ü');
    const refusal = encodeRefusalHead({ message: 'origin antwortet nicht: überlastet €' });
    const read = decodeResponseHead('http', refusal, refusal.length);
    assert.deepEqual(read, {
      kind: 'refusal',
      message: 'origin antwortet nicht: überlastet €',
      rateLimited: false,
      dialRefused: false,
    });
  });

  it('carry refusals', () => {
    const limited = encodeRefusalHead({ message: 'too many active flows', rateLimited: true });
    assert.deepEqual(decodeResponseHead('tcp', limited, limited.length), {
      kind: 'refusal',
      message: 'too many active flows',
      rateLimited: true,
      dialRefused: false,
    });
    const silent = encodeRefusalHead({ message: '' });
    assert.equal(decodeResponseHead('http', silent, silent.length).kind, 'refusal');
  });

  it('are refused when they make no sense', () => {
    const ask =
      (metadata: string[], dest = '/'): (() => void) =>
      () =>
        requestOf({ dest, type: 'http', metadata });
    assert.throws(ask(['HttpHeader::status', '200']), /header Key: HttpHeader::status malformed/);
    assert.throws(ask(['HttpHeader', 'x']), malformed);
    assert.throws(ask(['X-HttpHeader:a', 'x']), malformed);
    assert.throws(ask(['HttpMethod', 'GE T']), malformed);
    assert.throws(ask(['HttpHeader:Content-Length', '1x']), malformed);
    assert.throws(ask(['HttpHeader:Content-Length', '1', 'HttpHeader:content-length', '2']), malformed);
    for (const dest of ['', 'example.com/', 'ftp://a/', '/a b', '/a\r\nX: y', 'https:/a'])
      assert.throws(ask([], dest), malformed, dest);
    const both = ['HttpHeader:Content-Length', '5', 'HttpHeader:Transfer-Encoding', 'Chunked'];
    assert.deepEqual(requestOf({ dest: '/', type: 'http', metadata: both }).headers, []);
    assert.equal(requestOf({ dest: 'https://a?x', type: 'http', metadata: ['HttpMethod', ''] }).path, '/?x');
    const unknown = encodeRequestHead({
      kind: 'http',
      method: 'GET',
      scheme: 'http',
      host: 'a',
      path: '/',
      headers: [],
      bodyLength: 0,
    });
    unknown.writeUInt16LE(3, 24);
    assert.throws(() => readRequest(unknown), /0, 1 or 2, not 3/);
    const noStatus = encodeConnectResponse({ error: '', metadata: ['HttpStatus', '0200'] }, requestPreamble);
    assert.throws(() => decodeResponseHead('http', noStatus, noStatus.length), malformed);
    assert.throws(() => measureStreamHead(Buffer.from('52bb825cdb65', 'hex')), malformed);
  });

  it('never do more than throw our errors when cut or flipped', () => {
    for (const entry of requestStreams) {
      for (const from of ['edge', 'connector'] as const) {
        const bytes = sentBy(entry, from);
        const length = measureStreamHead(bytes);
        for (let cut = 24; cut < length; cut += 8) {
          const shorter = Buffer.from(bytes.subarray(0, cut));
          shorter.writeUInt32LE((cut - 16) / 8, 12);
          tryHead(shorter);
        }
        for (let bit = 64; bit < length * 8; bit += 1) {
          const flipped = Buffer.from(bytes.subarray(0, length));
          flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
          tryHead(flipped);
        }
      }
    }
  });
});

/** Reads bytes as a head of either direction; only our errors may come out. */
function tryHead(bytes: Buffer): void {
  for (const read of [decodeRequestHead, decodeResponseHead.bind(undefined, 'http')]) {
    try {
      const length = measureStreamHead(bytes);
      if (length <= bytes.length) read(bytes, length);
    } catch (error) {
      if (!isPosternError(error)) throw error;
    }
  }
}

describe('half-close between our own ends', () => {
  it('is asked for and granted by a metadata key, which is no header', () => {
    const head = { method: 'GET', scheme: 'https', host: '10.0.0.1:22', path: '/', bodyLength: -1 } as const;
    const tcp = encodeRequestHead({
      ...head,
      kind: 'tcp',
      headers: ['FlowID', 'f'],
      halfClose: true,
      source: '192.0.2.1:9',
    });
    const seen = decodeRequestHead(tcp, tcp.length);
    assert.deepEqual([seen.halfClose, seen.source, seen.headers], [true, '192.0.2.1:9', ['FlowID', 'f']]);
    const socket = encodeRequestHead({ ...head, kind: 'websocket', headers: ['X-A', '1'], halfClose: true });
    const seenSocket = decodeRequestHead(socket, socket.length);
    assert.deepEqual([seenSocket.halfClose, seenSocket.headers], [true, ['X-A', '1']]);
    for (const kind of ['tcp', 'websocket'] as const) {
      const granted = encodeResponseHead(kind, { status: 101, headers: [] }, true);
      const answer = decodeResponseHead(kind, granted, granted.length);
      assert.ok(answer.kind === 'response' && answer.halfClose === true && answer.headers.length === 0);
      const stock = encodeResponseHead(kind, { status: 101, headers: [] });
      const without = decodeResponseHead(kind, stock, stock.length);
      assert.ok(without.kind === 'response' && without.halfClose === undefined);
    }
  });
});
