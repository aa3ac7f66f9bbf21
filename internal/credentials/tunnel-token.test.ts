import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isPosternError } from '../errors/error.ts';
import { createTunnelId } from '../schema/api/id.ts';
import { encodeToken, parseToken, type TunnelToken } from './tunnel-token.ts';

const secret = Buffer.alloc(32, 7);
const base: TunnelToken = { accountTag: 'ab'.repeat(16), tunnelId: createTunnelId(), secret };

/** The message of the error that parsing `text` throws; never holds the secret. */
function messageOf(text: string): string {
  let message = '';
  assert.throws(
    () => parseToken(text),
    error => {
      assert.ok(isPosternError(error, 'credentials.invalid'));
      message = error.message;
      return true;
    },
  );
  assert.ok(!message.includes(secret.toString('base64')));
  return message;
}

const encode = (json: unknown): string => Buffer.from(JSON.stringify(json)).toString('base64');

describe('tunnel token', () => {
  it('survives a round trip, with and without our keys', () => {
    const ours: TunnelToken = {
      ...base,
      endpoint: 'fed',
      edge: ['[::1]:7844', 'e.example:443'],
      caPin: 'a0'.repeat(32),
    };
    for (const token of [base, ours]) assert.deepEqual(parseToken(encodeToken(token)), token);
  });

  it('writes and reads the layout stock connectors use', () => {
    const text = encode({ a: base.accountTag, t: base.tunnelId.toUpperCase(), s: secret.toString('base64') });
    assert.deepEqual(parseToken(` ${text}\n`), base);
    const json = JSON.parse(Buffer.from(encodeToken(base), 'base64').toString()) as unknown;
    assert.deepEqual(json, { a: base.accountTag, t: base.tunnelId, s: secret.toString('base64') });
  });

  it('accepts secrets longer than 32 bytes and ignores unknown keys', () => {
    const long = Buffer.alloc(100, 1);
    const token = parseToken(encode({ a: 'x', t: base.tunnelId, s: long.toString('base64'), future: [1] }));
    assert.deepEqual(Buffer.from(token.secret), long);
  });

  it('names what is wrong without quoting the token', () => {
    const s = secret.toString('base64');
    assert.match(messageOf(''), /empty/);
    assert.match(messageOf('not base64!'), /not base64/);
    assert.match(messageOf(Buffer.from(`{"s":"${s}"`).toString('base64')), /JSON/);
    assert.match(messageOf(encode({ t: base.tunnelId, s })), /key a /);
    assert.match(messageOf(encode({ a: 'x', t: 'nope', s })), /key t /);
    assert.match(messageOf(encode({ a: 'x', t: base.tunnelId, s: `${s}*` })), /key s /);
    assert.match(messageOf(encode({ a: 'x', t: base.tunnelId, s, pk: 'short' })), /key pk /);
    assert.match(messageOf('A'.repeat(20_000)), /longer than/);
  });

  it('refuses every truncation', () => {
    const text = encodeToken({ ...base, edge: ['127.0.0.1:7844'], caPin: '0'.repeat(64) });
    for (let length = 0; length < text.length; length += 1) messageOf(text.slice(0, length));
  });
});
