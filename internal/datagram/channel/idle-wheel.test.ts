import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import { type IdleEntry, IdleWheel } from './idle-wheel.ts';

class Entry implements IdleEntry {
  lastActiveMs = 0;
  idleMs: number;
  expired = 0;
  readonly #wheel: IdleWheel;

  constructor(wheel: IdleWheel, idleMs: number) {
    this.#wheel = wheel;
    this.idleMs = idleMs;
    this.lastActiveMs = wheel.now();
    wheel.add(this);
  }

  idled(): void {
    this.expired = this.#wheel.now();
  }
}

describe('idle wheel', () => {
  it('expires entries within a tick after their idle time, once, and moves active ones on', () => {
    mock.timers.enable({ apis: ['setInterval'] });
    let nowMs = 1_000_000;
    const wheel = new IdleWheel({ tickMs: 100, now: () => nowMs });
    const advance = (ms: number): void => {
      for (let passed = 0; passed < ms; passed += 50) {
        nowMs += 50;
        mock.timers.tick(50);
      }
    };
    const short = new Entry(wheel, 1_000);
    const active = new Entry(wheel, 1_000);
    const long = new Entry(wheel, 200_000);
    const removed = new Entry(wheel, 1_000);
    advance(700);
    active.lastActiveMs = nowMs;
    wheel.remove(removed);
    advance(600);
    assert.ok(short.expired >= 1_001_000 && short.expired <= 1_001_150, `${short.expired}`);
    assert.equal(active.expired, 0);
    advance(1_000);
    assert.ok(active.expired >= 1_001_700 && active.expired <= 1_001_850, `${active.expired}`);
    assert.equal(removed.expired, 0);
    assert.equal(wheel.size, 1);
    advance(200_000);
    assert.ok(long.expired >= 1_200_000 && long.expired <= 1_200_150, `${long.expired}`);
    assert.equal(wheel.size, 0);
    mock.timers.reset();
  });

  it('takes a shortened idle time at once when added again, and survives a jump of the clock', () => {
    mock.timers.enable({ apis: ['setInterval'] });
    let nowMs = 0;
    const wheel = new IdleWheel({ tickMs: 10, now: () => nowMs });
    const entry = new Entry(wheel, 60_000);
    const other = new Entry(wheel, 500_000);
    entry.idleMs = 20;
    wheel.add(entry);
    nowMs = 40;
    mock.timers.tick(10);
    assert.equal(entry.expired, 40);
    nowMs = 10_000_000;
    mock.timers.tick(10);
    assert.equal(other.expired, 10_000_000);
    assert.equal(wheel.size, 0);
    mock.timers.reset();
  });
});
