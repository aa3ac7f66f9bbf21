// Time as the connector sees it, passed in so that tests can hold it: a monotonic clock, the wall clock, and timers.

export interface Clock {
  /** Milliseconds that never jump; may stand still while the machine sleeps. */
  monotonicMs(): number;
  /** Milliseconds since 1970; jumps when the machine wakes or the clock is set. */
  wallMs(): number;
  /** Calls `callback` once after `delayMs`; the returned function cancels. Timers keep the process alive. */
  after(delayMs: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};
