// Spreads the connections of a connector over its edges again, after one was away and its connections went to the others:
// one idle connection at a time, after minutes, and never one that is in use. Ours; the recorded peer stays where it is.

import type { EdgeAddress } from '../../discovery/edge-address.ts';
import type { EdgeDirectory } from '../../discovery/edge-directory.ts';
import type { Clock } from '../../net/time/clock.ts';

/** A connection that can be moved. */
export interface Movable {
  readonly connIndex: number;
  /** Whether it has moved, or undefined when it is in use and was left alone. */
  moveToAddress(address: EdgeAddress): Promise<boolean> | undefined;
}

export interface SpreadOptions {
  readonly directory: Pick<EdgeDirectory, 'uneven'>;
  readonly clock: Clock;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

/** An edge that was restarted has settled by then; a second restart soon after moves nothing. */
const calmMs = 2 * 60_000;
/** The connectors of an edge do not come back all at once. */
const jitterMs = 3 * 60_000;
/** An edge that stays away is tried twice as late each time, up to eight times as late: 16 to 40 minutes. */
const maxDoublings = 3;

/** One for a connector. */
export class Spread {
  readonly #options: SpreadOptions;
  #dueAtMs: number | undefined;
  #failures = 0;
  #moving = false;

  constructor(options: SpreadOptions) {
    this.#options = options;
  }

  /** Asked every few seconds. `all` connections are registered, or undefined while some are missing. */
  tick(all: readonly Movable[] | undefined): void {
    const { clock, directory } = this.#options;
    const uneven = all === undefined ? undefined : directory.uneven;
    if (all === undefined || uneven === undefined) {
      this.#dueAtMs = undefined;
      if (all !== undefined) this.#failures = 0;
      return;
    }
    this.#dueAtMs ??= clock.monotonicMs() + this.#wait();
    if (this.#moving || clock.monotonicMs() < this.#dueAtMs) return;
    for (const movable of all) {
      const move = uneven.users.includes(movable.connIndex) ? movable.moveToAddress(uneven.to) : undefined;
      if (move === undefined) continue;
      void this.#await(move);
      return;
    }
  }

  async #await(move: Promise<boolean>): Promise<void> {
    this.#moving = true;
    const moved = await move;
    this.#moving = false;
    this.#failures = moved ? 0 : Math.min(this.#failures + 1, maxDoublings);
    this.#dueAtMs = undefined;
  }

  #wait(): number {
    return (calmMs + this.#options.random() * jitterMs) * 2 ** this.#failures;
  }
}
