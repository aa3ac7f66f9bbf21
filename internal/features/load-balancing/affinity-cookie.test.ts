// The affinity cookie: what a visitor can make of it, and how long it is good.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { putBalancerSchema } from '../../schema/api/load-balancing.ts';
import { AffinityCookies, connectorTag } from './affinity-cookie.ts';

const pinned = { member: '0123456789abcdef', connector: connectorTag('FEDCBA98-7654-4321-8000-000000000000') };
const document = putBalancerSchema.parse({ name: 'h', fallback_pool: 'p', session_affinity_ttl: 1800 });

function open(key = 1) {
  const clock = { nowMs: 1_000_000 };
  const cookies = new AffinityCookies(new Uint8Array(32).fill(key), () => clock.nowMs);
  const made = cookies.write('b1', pinned, 'http', document);
  return { clock, cookies, made, value: made.split(';')[0] ?? '' };
}

describe('the affinity cookie', () => {
  it('says what it was made with, to edges of one key and for one balancer, until it ends', () => {
    const { clock, cookies, value } = open();
    assert.deepEqual(cookies.read('b1', ['Cookie', `a=b; ${value}`]), pinned);
    assert.deepEqual(cookies.read('b1', ['cookie', 'x=1', 'COOKIE', value]), pinned);
    assert.deepEqual(open().cookies.read('b1', ['Cookie', value]), pinned);
    assert.equal(cookies.read('b2', ['Cookie', value]), undefined);
    assert.equal(open(2).cookies.read('b1', ['Cookie', value]), undefined);
    clock.nowMs += 1_799_000;
    assert.deepEqual(cookies.read('b1', ['Cookie', value]), pinned);
    clock.nowMs += 1_000;
    assert.equal(cookies.read('b1', ['Cookie', value]), undefined);
  });

  it('is none with any bit changed, cut off, or of another length', () => {
    const { cookies, value } = open();
    const [name = '', text = ''] = value.split('=');
    const bytes = Buffer.from(text, 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.equal(cookies.read('b1', ['Cookie', `${name}=${flipped.toString('base64url')}`]), undefined);
    }
    for (let length = 0; length < text.length; length += 1)
      assert.equal(cookies.read('b1', ['Cookie', `${name}=${text.slice(0, length)}`]), undefined);
    for (const other of ['A'.repeat(1_000_000), 'ü'.repeat(48), '=', `${text}A`])
      assert.equal(cookies.read('b1', ['Cookie', `${name}=${other}`]), undefined);
  });

  it('is looked for a few times only', () => {
    const { cookies, value } = open();
    const wrong = `__cflb=${'A'.repeat(48)}`;
    assert.deepEqual(cookies.read('b1', ['Cookie', [wrong, wrong, wrong, value].join('; ')]), pinned);
    assert.equal(cookies.read('b1', ['Cookie', [wrong, wrong, wrong, wrong, value].join('; ')]), undefined);
  });

  it('is not for scripts, and secure where the visitor is', () => {
    const { cookies } = open();
    const write = (attributes: object, scheme: 'http' | 'https') =>
      cookies.write('b1', pinned, scheme, {
        ...document,
        session_affinity_attributes: { ...document.session_affinity_attributes, ...attributes },
      });
    assert.match(write({}, 'https'), /; Path=\/; Max-Age=1800; HttpOnly; SameSite=Lax; Secure$/);
    assert.match(write({}, 'http'), /; Path=\/; Max-Age=1800; HttpOnly; SameSite=Lax$/);
    assert.match(write({ secure: 'Always', samesite: 'Strict' }, 'http'), /SameSite=Strict; Secure$/);
    assert.match(write({ secure: 'Never', samesite: 'None' }, 'https'), /SameSite=Lax$/);
    assert.match(write({ samesite: 'None' }, 'https'), /SameSite=None; Secure$/);
  });
});
