// A clock for tests: time stands still until it is advanced, and timers fire in order of their time.

import type { Clock } from '../../internal/net/time/clock.ts';

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

export class TestClock implements Clock {
  #nowMs = 0;
  #wallOffsetMs = 1_800_000_000_000;
  readonly #timers = new Set<Timer>();

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs + this.#wallOffsetMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#timers.size;
  }

  /** The machine slept: only the wall clock moves. */
  jumpWall(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  /** Moves time, firing every timer that is due, and lets what they started settle in between. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      const due = [...this.#timers].filter(timer => timer.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.callback();
      await settle();
    }
    this.#nowMs = untilMs;
    await settle();
  }

  /** The process was suspended: time has passed, and late timers fire now. */
  async suspend(ms: number): Promise<void> {
    this.#nowMs += ms;
    await this.advance(0);
  }
}

/** Lets promises and immediates that are ready run. */
export async function settle(): Promise<void> {
  for (let round = 0; round < 5; round += 1) {
    await new Promise<void>(resolve => {
      setImmediate(resolve);
    });
  }
}
