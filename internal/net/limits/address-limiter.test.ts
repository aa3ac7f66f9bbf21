import assert from 'node:assert/strict';
import { it } from 'node:test';
import { AddressLimiter } from './address-limiter.ts';

it('limits one address and all together, and takes places back once', () => {
  const limiter = new AddressLimiter({ total: 3, perAddress: 2 });
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
