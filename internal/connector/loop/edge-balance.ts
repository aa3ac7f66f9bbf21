// Spreads the connections of a connector over its edges again, after one was away and its connections went to the others.
// An edge without any gets one within seconds, since it can serve nobody until then; the others move one at a time, after
// minutes, and never while in use. Stock connectors stay where they are.

import type { EdgeAddress } from '../../discovery/edge-address.ts';
import type { EdgeDirectory } from '../../discovery/edge-directory.ts';
import type { Clock } from '../../net/time/clock.ts';

/** A connection that can be moved. */
export interface Movable {
  readonly connIndex: number;
  /** Whether it has moved, or undefined when it was left alone: it is in use, and `evenInUse` is not given. */
  moveToAddress(address: EdgeAddress, evenInUse?: boolean): Promise<boolean> | undefined;
}

export interface EdgeBalanceOptions {
  readonly directory: Pick<EdgeDirectory, 'uneven'>;
  readonly clock: Clock;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

interface Patience {
  readonly calmMs: number;
  /** The connectors of an edge do not come back all at once. */
  readonly jitterMs: number;
  /** An edge that stays away is tried twice as late each time, up to so many times. */
  readonly maxDoublings: number;
}

/** An edge that was restarted has settled by then; a second restart soon after moves nothing. At most 16 to 40 minutes. */
const usual: Patience = { calmMs: 2 * 60_000, jitterMs: 3 * 60_000, maxDoublings: 3 };
/** Until the edge has one of our connections, what reaches it for our tunnel fails. At most 2 to 5 minutes. */
const forUnused: Patience = { calmMs: 2_000, jitterMs: 3_000, maxDoublings: 6 };

/** One for a connector. */
export class EdgeBalance {
  readonly #options: EdgeBalanceOptions;
  #dueAtMs: number | undefined;
  #failures = 0;
  #patience: Patience = usual;
  #moving = false;

  constructor(options: EdgeBalanceOptions) {
    this.#options = options;
  }

  /** Asked every second or two. `all` connections are registered, or undefined while some are missing. */
  tick(all: readonly Movable[] | undefined): void {
    const { clock, directory } = this.#options;
    const uneven = all === undefined ? undefined : directory.uneven;
    if (all === undefined || uneven === undefined) {
      this.#dueAtMs = undefined;
      if (all !== undefined) this.#failures = 0;
      return;
    }
    const patience = uneven.isUnused ? forUnused : usual;
    if (patience !== this.#patience) this.#dueAtMs = undefined;
    this.#patience = patience;
    this.#dueAtMs ??= clock.monotonicMs() + this.#wait(patience);
    if (this.#moving || clock.monotonicMs() < this.#dueAtMs) return;
    for (const movable of all) {
      const isUser = uneven.users.includes(movable.connIndex);
      const move = isUser ? movable.moveToAddress(uneven.to, uneven.isUnused) : undefined;
      if (move === undefined) continue;
      void this.#await(move);
      return;
    }
  }

  async #await(move: Promise<boolean>): Promise<void> {
    this.#moving = true;
    const moved = await move;
    this.#moving = false;
    this.#failures = moved ? 0 : this.#failures + 1;
    this.#dueAtMs = undefined;
  }

  #wait({ calmMs, jitterMs, maxDoublings }: Patience): number {
    return (calmMs + this.#options.random() * jitterMs) * 2 ** Math.min(this.#failures, maxDoublings);
  }
}
