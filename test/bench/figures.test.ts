import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { median, quantile, range } from './figures.ts';

describe('figures of rounds', () => {
  it('takes the middle of them, or of the two middle ones', () => {
    assert.equal(median([9, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 9]), 3);
    assert.ok(Number.isNaN(median([])));
  });

  it('finds quantiles in any order', () => {
    const values = Array.from({ length: 200 }, (_, index) => 199 - index);
    assert.equal(quantile(values, 0.99), 198);
    assert.equal(quantile([7], 0.99), 7);
  });

  it('shows the range of several, and one alone', () => {
    assert.equal(range([0.5, 0.25, 1], 2), '0.50 (0.25–1.00)');
    assert.equal(range([0.5], 2), '0.50');
  });
});
