// When an endpoint counts as up or down, by checks and by requests.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isExpected } from './check.ts';
import { type CheckResult, Health, suspendMs } from './health.ts';

const result = (ok: boolean): CheckResult => ({ ok, reason: ok ? '' : 'no', status: 0, rttMs: 1 });

function open() {
  const clock = { nowMs: 0 };
  return { clock, health: new Health(() => clock.nowMs) };
}

describe('health', () => {
  it('goes down and up after so many checks in a row', () => {
    const { health } = open();
    const check = (ok: boolean): boolean => {
      health.checked('k', result(ok), 3, 2);
      return health.isUp('k');
    };
    assert.equal(health.isUp('k'), true);
    assert.deepEqual([true, false, true, false, false].map(check), [true, true, true, true, false]);
    assert.deepEqual([true, true, false, true, true, true].map(check), [false, false, false, false, false, true]);
  });

  it('suspends after two requests in a row that failed, for a while or until a check succeeds', () => {
    const { clock, health } = open();
    health.failed('k');
    health.answered('k');
    health.failed('k');
    assert.equal(health.isUp('k'), true);
    health.failed('k');
    assert.equal(health.isUp('k'), false);
    clock.nowMs += suspendMs;
    assert.equal(health.isUp('k'), true);
    health.failed('k');
    assert.equal(health.isUp('k'), false);
    health.checked('k', result(true), 2, 2);
    assert.equal(health.isUp('k'), true);
  });

  it('forgets who is gone, and what nobody checks any more', () => {
    const { health } = open();
    for (const key of ['a', 'b']) for (let count = 0; count < 2; count += 1) health.checked(key, result(false), 2, 2);
    health.keep(key => key === 'a');
    assert.deepEqual([health.isUp('a'), health.isUp('b')], [false, true]);
    health.uncheck('a');
    assert.deepEqual([health.isUp('a'), health.lastOf('a')], [true, undefined]);
  });
});

describe('expected codes', () => {
  it('are classes, ranges and single ones', () => {
    const good = (codes: string): number[] => [199, 200, 204, 205, 301, 404, 503].filter(one => isExpected(one, codes));
    assert.deepEqual(good('2xx'), [200, 204, 205]);
    assert.deepEqual(good('200-204'), [200, 204]);
    assert.deepEqual(good('301,404'), [301, 404]);
    assert.deepEqual(good('2xx,503'), [200, 204, 205, 503]);
  });
});
