import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BackOff } from './back-off.ts';

describe('back-off', () => {
  const create = (random: number) => new BackOff({ baseMs: 1000, maxRetries: 5, random: () => random });

  it('doubles its bound up to the limit and stays there', () => {
    const backOff = create(0.999_999);
    const bounds = Array.from({ length: 8 }, () => backOff.next().upToMs);
    assert.deepEqual(bounds, [2000, 4000, 8000, 16_000, 32_000, 32_000, 32_000, 32_000]);
    assert.equal(backOff.retries, 5);
  });

  it('waits anything from nothing to the bound', () => {
    assert.equal(create(0).next().waitMs, 0);
    assert.equal(create(0.5).next().waitMs, 1000);
    assert.equal(create(0.999_999).next().waitMs, 1999);
  });

  it('starts again after a reset', () => {
    const backOff = create(0);
    backOff.next();
    backOff.next();
    backOff.reset();
    assert.equal(backOff.retries, 0);
    assert.equal(backOff.next().upToMs, 2000);
  });

  it('keeps counting when a success did not last', () => {
    const backOff = create(0);
    backOff.next();
    backOff.next();
    backOff.lasted(9_999, 10_000);
    assert.equal(backOff.next().upToMs, 8000);
    backOff.lasted(10_000, 10_000);
    assert.equal(backOff.next().upToMs, 2000);
  });
});
