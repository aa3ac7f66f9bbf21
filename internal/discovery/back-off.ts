// How long to wait before trying again: full jitter over a doubling bound. Source: docs/protocol/edge-protocol.md §4.3.

export interface BackOffOptions {
  readonly baseMs: number;
  /** Bound doubles up to `baseMs * 2 ** maxRetries`, and stays there: trying never ends. */
  readonly maxRetries: number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
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

  constructor(options: BackOffOptions) {
    this.#options = options;
  }

  /** Attempts since the last success, at most `maxRetries`; the registration reports it as numPreviousAttempts. */
  get retries(): number {
    return this.#retries;
  }

  /** The next wait; uniform in [0, bound). */
  next(): BackOffWait {
    const { baseMs, maxRetries, random } = this.#options;
    if (this.#retries < maxRetries) this.#retries += 1;
    const upToMs = baseMs * 2 ** this.#retries;
    return { waitMs: Math.floor(random() * upToMs), upToMs };
  }

  /** The next failure starts from the beginning. */
  reset(): void {
    this.#retries = 0;
  }

  /** After a success that lasted so long: only a lasting one starts anew, so that a connection that flaps keeps its back-off. */
  lasted(ms: number, stableMs: number): void {
    if (ms >= stableMs) this.reset();
  }
}
