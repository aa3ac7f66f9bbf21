// How long to wait before trying again: full jitter over a doubling bound. Source: spec edge-protocol §4.3.

export interface BackOffOptions {
  readonly baseMs: number;
  /** Bound doubles up to `baseMs * 2 ** maxRetries`, and stays there: trying never ends. */
  readonly maxRetries: number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  /** Milliseconds of a clock that never jumps back. */
  readonly nowMs: () => number;
}

export interface BackOffWait {
  readonly waitMs: number;
  /** What the log says: the true upper bound. */
  readonly upToMs: number;
}

/** One for each thing that is tried again; it counts, the caller waits. */
export class BackOff {
  readonly #options: BackOffOptions;
  #retries = 0;
  #resetAtMs: number | undefined;

  constructor(options: BackOffOptions) {
    this.#options = options;
  }

  /** Attempts since the last success, at most `maxRetries`; the registration reports it as numPreviousAttempts. */
  get retries(): number {
    return this.#retries;
  }

  /** The next wait; uniform in [0, bound). */
  next(): BackOffWait {
    const { baseMs, maxRetries, random, nowMs } = this.#options;
    if (this.#resetAtMs !== undefined && nowMs() >= this.#resetAtMs) this.reset();
    if (this.#retries < maxRetries) this.#retries += 1;
    const upToMs = baseMs * 2 ** this.#retries;
    return { waitMs: Math.floor(random() * upToMs), upToMs };
  }

  /** The next failure starts from the beginning. */
  reset(): void {
    this.#retries = 0;
    this.#resetAtMs = undefined;
  }

  /** After a success: reset only once it has lasted `stableMs`, so that a connection that flaps keeps its back-off. */
  resetAfter(stableMs: number): void {
    this.#resetAtMs = this.#options.nowMs() + stableMs;
  }
}
