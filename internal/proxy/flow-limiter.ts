// The limit on private-network flows: TCP streams and UDP sessions of every connection count together.
// Source: docs/protocol/datagrams.md §9.

/** Counts flows in unlimited mode too, so that a limit set later knows what already runs. */
export class FlowLimiter {
  #active = 0;
  #limit: number;

  /** `limit` 0 = unlimited. */
  constructor(limit = 0) {
    this.#limit = limit;
  }

  get active(): number {
    return this.#active;
  }

  get limit(): number {
    return this.#limit;
  }

  /** Takes a place for one flow; false when the limit is reached. Each true is paired with one `release`. */
  acquire(): boolean {
    if (this.#limit > 0 && this.#active >= this.#limit) return false;
    this.#active += 1;
    return true;
  }

  release(): void {
    if (this.#active === 0) throw new RangeError('A flow was released that was not acquired');
    this.#active -= 1;
  }

  /** Changes the limit for flows to come; those that run stay. */
  setLimit(limit: number): void {
    this.#limit = limit;
  }
}

/** What the other end is told at the limit. */
export const flowLimitMessage = 'too many active flows';
