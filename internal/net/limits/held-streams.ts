// Streams whose readers have stopped: what all of them may hold unread is bounded for the whole process, so that slow
// readers cost memory up to a limit and nobody else anything. docs/flow-control.md has the arithmetic.

import { totalmem } from 'node:os';
import { PosternError } from '../../errors/error.ts';

/** A stream that can hold bytes which its reader does not take. */
export interface HoldingStream {
  destroy(error: Error): unknown;
}

export class HeldStreams {
  readonly #budgetBytes: number;
  /** What each may hold, in the order in which their readers stopped. */
  readonly #held = new Map<HoldingStream, number>();
  readonly #listeners = new Set<() => void>();
  #bytes = 0;
  #givenUp = 0;

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes;
  }

  /** Most bytes that the streams held now may keep waiting. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Streams that were reset because the budget was used up; only rises. */
  get givenUp(): number {
    return this.#givenUp;
  }

  /** Calls `listener` for every stream that is given up; it must not throw. Returns what stops it. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * The reader of `stream` has stopped; up to `windowBytes` may come and wait. When that is more than the budget has, the
   * stream whose reader stopped longest ago is destroyed with 'stream.reset'.
   */
  hold(stream: HoldingStream, windowBytes: number): void {
    if (this.#held.has(stream)) return;
    this.#held.set(stream, windowBytes);
    this.#bytes += windowBytes;
    while (this.#bytes > this.#budgetBytes) {
      const [[oldest] = []] = this.#held;
      if (oldest === undefined) return;
      this.release(oldest);
      this.#givenUp += 1;
      oldest.destroy(new PosternError('stream.reset', 'Too much waits for slow readers: the slowest was given up.'));
      for (const listener of this.#listeners) listener();
    }
  }

  /** The reader goes on, or the stream is over. Idempotent. */
  release(stream: HoldingStream): void {
    const bytes = this.#held.get(stream);
    if (bytes === undefined) return;
    this.#held.delete(stream);
    this.#bytes -= bytes;
  }
}

/** A quarter of the memory that this process may use, at most 1 GiB and at least 128 MiB. */
function budget(): number {
  const limit = process.constrainedMemory();
  const memory = limit > 0 ? Math.min(limit, totalmem()) : totalmem();
  return Math.min(1 << 30, Math.max(128 << 20, memory / 4));
}

/** Of this process: every transport, visitors included. */
export const heldStreams = new HeldStreams(budget());
