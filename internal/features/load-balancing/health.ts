// What is known of the health of each endpoint: of a private member as a whole, of a tunnel each of its connectors. Checks
// say it, and so do requests that fail.
//
//   not known ──▶ up ◀──consecutive checks──▶ down
//   after two requests in a row that failed: suspended for ten seconds, or until a check succeeds

export interface CheckResult {
  readonly ok: boolean;
  /** In words; empty when it is well. */
  readonly reason: string;
  /** Status of the answer; 0 where there was none. */
  readonly status: number;
  readonly rttMs: number;
}

interface EndpointHealth {
  /** What the checks have made of it; undefined until they have said enough. */
  up: boolean | undefined;
  ups: number;
  downs: number;
  last: CheckResult | undefined;
  failures: number;
  suspendedUntilMs: number;
}

/** Requests in a row that must fail, so that one that the origin itself broke does not count. */
const failuresToSuspend = 2;
/** As long as a process takes to restart. */
export const suspendMs = 10_000;

export class Health {
  readonly #endpoints = new Map<string, EndpointHealth>();
  readonly #now: () => number;

  /** @param now milliseconds of a clock that never jumps */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** What nothing is known of is up. */
  isUp(key: string): boolean {
    const known = this.#endpoints.get(key);
    return known === undefined || (known.up !== false && known.suspendedUntilMs <= this.#now());
  }

  /** The last check; undefined when there was none. */
  lastOf(key: string): CheckResult | undefined {
    return this.#endpoints.get(key)?.last;
  }

  /** Takes a check's word; an endpoint goes down or up after so many in a row, 0 counting as 1. */
  checked(key: string, result: CheckResult, upAfter: number, downAfter: number): void {
    const known = this.#of(key);
    known.last = result;
    known.ups = result.ok ? known.ups + 1 : 0;
    known.downs = result.ok ? 0 : known.downs + 1;
    // Of one that was never down the first success is enough.
    if (known.ups >= (known.up === false ? Math.max(1, upAfter) : 1)) {
      known.up = true;
      known.failures = 0;
      known.suspendedUntilMs = 0;
    }
    if (known.downs >= Math.max(1, downAfter)) known.up = false;
  }

  answered(key: string): void {
    const known = this.#endpoints.get(key);
    if (known !== undefined) known.failures = 0;
  }

  failed(key: string): void {
    const known = this.#of(key);
    known.failures += 1;
    // What comes after the suspension is the first chance: the next failure suspends again at once.
    if (known.failures >= failuresToSuspend) known.suspendedUntilMs = this.#now() + suspendMs;
  }

  /** Forgets all for which this is false. */
  keep(isThere: (key: string) => boolean): void {
    for (const key of this.#endpoints.keys()) if (!isThere(key)) this.#endpoints.delete(key);
  }

  /** Forgets what checks said of it: nobody checks it any more. */
  uncheck(key: string): void {
    const known = this.#endpoints.get(key);
    if (known === undefined) return;
    known.up = undefined;
    known.ups = 0;
    known.downs = 0;
    known.last = undefined;
  }

  #of(key: string): EndpointHealth {
    let known = this.#endpoints.get(key);
    if (known === undefined) {
      known = { up: undefined, ups: 0, downs: 0, last: undefined, failures: 0, suspendedUntilMs: 0 };
      this.#endpoints.set(key, known);
    }
    return known;
  }
}
