import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Clock } from './clock.ts';
import { withDeadline } from './deadline.ts';

/** A clock whose only timer fires when the test says so. */
class HeldClock implements Clock {
  fire: (() => void) | undefined;
  delayMs = 0;
  monotonicMs(): number {
    return 0;
  }
  wallMs(): number {
    return 0;
  }
  after(delayMs: number, callback: () => void): () => void {
    this.delayMs = delayMs;
    this.fire = callback;
    return () => {
      this.fire = undefined;
    };
  }
}
const late = (): Error => new Error('too late');

describe('a deadline', () => {
  it('gives what the work gives, and leaves no timer', async () => {
    const clock = new HeldClock();
    assert.equal(await withDeadline(Promise.resolve(7), 50, late, clock), 7);
    await assert.rejects(withDeadline(Promise.reject(new Error('broken')), 50, late, clock), /broken/);
    assert.equal(clock.fire, undefined);
  });

  it('rejects when the work takes longer', async () => {
    const clock = new HeldClock();
    const never = withDeadline(new Promise(() => undefined), 50, late, clock);
    assert.equal(clock.delayMs, 50);
    clock.fire?.();
    await assert.rejects(never, /too late/);
    assert.equal(clock.fire, undefined);
    await assert.rejects(withDeadline(new Promise(() => undefined), 1, late), /too late/);
  });
});
