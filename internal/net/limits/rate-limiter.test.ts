import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { countedAddress, createRateLimiter } from './rate-limiter.ts';

describe('rate limiter', () => {
  it('lets a burst through, then as many as time gives back', () => {
    let nowMs = 0;
    const limiter = createRateLimiter({ burst: 3, perSecond: 2, now: () => nowMs });
    const take = (count: number): boolean[] => Array.from({ length: count }, () => limiter.take('a'));
    assert.deepEqual(take(4), [true, true, true, false]);
    assert.equal(limiter.take('b'), true);
    nowMs += 500;
    assert.deepEqual(take(2), [true, false]);
    nowMs += 60_000;
    assert.deepEqual(take(4), [true, true, true, false]);
    // A clock set back takes nothing away.
    nowMs -= 120_000;
    assert.deepEqual(take(1), [false]);
    nowMs += 500;
    assert.deepEqual(take(1), [true]);
  });

  it('forgets the address heard of longest ago when full', () => {
    const limiter = createRateLimiter({ burst: 1, perSecond: 0, maxAddresses: 2, now: () => 0 });
    assert.deepEqual(['a', 'b', 'a'].map(limiter.take), [true, true, false]);
    assert.equal(limiter.take('c'), true);
    assert.deepEqual(['a', 'b'].map(limiter.take), [false, true]);
  });

  it('counts IPv6 by /64 and mapped IPv4 as IPv4', () => {
    assert.equal(countedAddress('192.0.2.1'), '192.0.2.1');
    assert.equal(countedAddress('::ffff:192.0.2.1'), '192.0.2.1');
    assert.equal(countedAddress('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64');
    assert.equal(countedAddress('fe80::1%eth0'), 'fe80::/64');
    assert.equal(countedAddress(undefined), 'unknown');
  });
});
