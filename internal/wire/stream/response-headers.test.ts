import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readVectors } from '../../../test/support/vectors.ts';
import { isPosternError } from '../../errors/error.ts';
import { decodeResponseHeaders, encodeResponseHeaders, isProtocolHeader } from './response-headers.ts';
import { parseResponseMeta, responseMetaValues } from './response-meta.ts';
import { responseHeadersHeader, responseMetaHeader } from './upgrade-header.ts';

const malformed = (error: unknown): boolean => isPosternError(error, 'protocol.malformed');

/** First value of a header in a recorded response. */
function recordedHeader(meta: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const headers = (meta.headers ?? {}) as Record<string, string[]>;
  const key = Object.keys(headers).find(each => each.toLowerCase() === name);
  return key === undefined ? undefined : headers[key]?.[0];
}

describe('serialised response headers', () => {
  it('are written as in the example', () => {
    const headers = ['Content-Type', 'text/html', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'];
    const text = 'Q29udGVudC1UeXBl:dGV4dC9odG1s;U2V0LUNvb2tpZQ:YT0x;U2V0LUNvb2tpZQ:Yj0y';
    assert.equal(encodeResponseHeaders(headers), text);
    assert.deepEqual(decodeResponseHeaders(text), headers);
    assert.equal(encodeResponseHeaders([]), '');
    assert.deepEqual(decodeResponseHeaders(''), []);
  });

  it('read what the recorded connector sent, and write it again to the same text', () => {
    let seen = 0;
    for (const entry of readVectors('http2')) {
      const text = recordedHeader(entry.meta, responseHeadersHeader);
      if (text === undefined) continue;
      seen += 1;
      const headers = decodeResponseHeaders(text);
      assert.equal(headers.length % 2, 0);
      assert.equal(encodeResponseHeaders(headers), text, entry.name);
    }
    assert.ok(seen >= 5, `only ${seen} recorded lists`);
  });

  it('keep every byte', () => {
    const all = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('');
    const headers = ['X-Bytes', all, 'x-empty', '', 'X-Bytes', all.slice(0, 255), 'X', all.slice(0, 254)];
    assert.deepEqual(decodeResponseHeaders(encodeResponseHeaders(headers)), headers);
    assert.throws(() => encodeResponseHeaders(['X', '€']), malformed);
  });

  it('leave out what belongs to the protocol', () => {
    const headers = [
      ...[':status', '200', 'CF-Int-Cloudflared-Tracing', 'x', 'cf-cloudflared-response-meta', 'x'],
      ...['Cf-Proxy-Worker', 'x', 'cf-ray', 'kept', 'Content-Type', 'kept', 'cf', 'kept', 'c', 'kept'],
    ];
    const kept = decodeResponseHeaders(encodeResponseHeaders(headers));
    assert.deepEqual(kept, ['cf-ray', 'kept', 'Content-Type', 'kept', 'cf', 'kept', 'c', 'kept']);
    assert.equal(isProtocolHeader(''), false);
  });

  it('skip empty parts and refuse broken ones', () => {
    assert.deepEqual(decodeResponseHeaders(';;QQ:Qg;;'), ['A', 'B']);
    assert.deepEqual(decodeResponseHeaders('QQ==:Qg=='), ['A', 'B']);
    for (const text of ['QQ', 'QQ:Qg:Qg', 'Q:Qg', 'QQ:Q', 'Q Q:Qg', 'QQ:Q-_g', 'QQ:Qg;x'])
      assert.throws(() => decodeResponseHeaders(text), malformed, text);
  });
});

describe('response meta', () => {
  it('reads what the recorded connector sent', () => {
    const recorded = Object.fromEntries(
      readVectors('http2').map(entry => [entry.name, recordedHeader(entry.meta, responseMetaHeader)]),
    );
    assert.equal(recorded['h2-http-get'], responseMetaValues.origin);
    assert.equal(recorded['h2-http-origin-down'], responseMetaValues.connector);
  });

  it('accepts other spellings and refuses nonsense', () => {
    for (const [meta, text] of Object.entries(responseMetaValues)) assert.equal(parseResponseMeta(text), meta);
    assert.equal(parseResponseMeta('{ "flow_rate_limited": false, "src": "cloudflared" }'), 'connector');
    for (const text of ['', '{', 'null', '[]', '{"src":"x"}', '{}'])
      assert.throws(() => parseResponseMeta(text), malformed);
  });
});
