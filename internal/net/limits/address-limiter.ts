// Counts what peers hold at once, in total and for each address or other key, so that neither a flood nor one peer can take
// all there is.

import { countedAddress } from './rate-limiter.ts';

export interface AddressLimits {
  /** Held at once over all addresses. */
  readonly total: number;
  /** Held at once by one address. */
  readonly perAddress: number;
}

/** Places by any key: an account, a name. Addresses have `AddressLimiter`. */
export class PlaceLimiter {
  readonly #limits: AddressLimits;
  readonly #held = new Map<string, number>();
  #total = 0;

  constructor(limits: AddressLimits) {
    this.#limits = limits;
  }

  /** How many are held now. */
  get total(): number {
    return this.#total;
  }

  /** Takes a place for `key`; returns what gives it back (idempotent), or undefined when there is none. */
  admit(key: string): (() => void) | undefined {
    const held = this.#held.get(key) ?? 0;
    if (this.#total >= this.#limits.total || held >= this.#limits.perAddress) return undefined;
    this.#total += 1;
    this.#held.set(key, held + 1);
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#total -= 1;
      const rest = (this.#held.get(key) ?? 1) - 1;
      if (rest === 0) this.#held.delete(key);
      else this.#held.set(key, rest);
    };
  }
}

/** Places by address, counted as `countedAddress` says: an IPv6 /64 is one. */
export class AddressLimiter extends PlaceLimiter {
  /** `address` as a socket tells it. */
  override admit(address: string | undefined): (() => void) | undefined {
    return super.admit(countedAddress(address));
  }
}
