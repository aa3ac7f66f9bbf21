// What was refused, by reason: counted for metrics, and told in the log at most once a minute and reason, because whoever is
// refused may come again a thousand times a second.

import type { Logger } from '../../telemetry/logger.ts';

const logEveryMs = 60_000;

export class Refusals<Reason extends string> {
  /** Only rise. */
  readonly counts = new Map<Reason, number>();
  readonly #logger: Logger;
  readonly #message: string;
  readonly #now: () => number;
  readonly #told = new Map<Reason, { readonly atMs: number; readonly count: number }>();

  constructor(logger: Logger, message: string, now: () => number = () => performance.now()) {
    this.#logger = logger;
    this.#message = message;
    this.#now = now;
  }

  /** `address`: of the one refused now, as an example. */
  add(reason: Reason, address: string): void {
    const count = (this.counts.get(reason) ?? 0) + 1;
    this.counts.set(reason, count);
    const told = this.#told.get(reason);
    const atMs = this.#now();
    if (told !== undefined && atMs - told.atMs < logEveryMs) return;
    this.#told.set(reason, { atMs, count });
    this.#logger.warn({ reason, address, refused: count - (told?.count ?? 0), total: count }, this.#message);
  }
}
