import assert from 'node:assert/strict';
import { it } from 'node:test';
import { AddressLimiter, PlaceLimiter } from './address-limiter.ts';

it('limits one address and all together, and takes places back once', () => {
  const limiter = new PlaceLimiter({ total: 3, perAddress: 2 });
  const first = limiter.admit('a');
  assert.ok(first !== undefined && limiter.admit('a') !== undefined);
  assert.equal(limiter.admit('a'), undefined);
  assert.ok(limiter.admit('b') !== undefined);
  assert.equal(limiter.admit('c'), undefined);
  first();
  first();
  assert.equal(limiter.total, 2);
  assert.ok(limiter.admit('a') !== undefined);
  assert.equal(limiter.admit('a'), undefined);
});

it('counts an IPv6 /64 as one address, and a mapped IPv4 address as itself', () => {
  const limiter = new AddressLimiter({ total: 10, perAddress: 2 });
  assert.ok(limiter.admit('2001:db8::1') !== undefined && limiter.admit('2001:db8::2:3') !== undefined);
  assert.equal(limiter.admit('2001:db8::ffff'), undefined);
  assert.ok(limiter.admit('2001:db8:0:1::1') !== undefined);
  assert.ok(limiter.admit('192.0.2.1') !== undefined && limiter.admit('::ffff:192.0.2.1') !== undefined);
  assert.equal(limiter.admit('192.0.2.1'), undefined);
  assert.ok(limiter.admit('192.0.2.2') !== undefined);
});
