// Counts things that peers hold before anybody knows them, in total and for each address, so that neither a flood nor one
// peer can take all there is.

export interface AddressLimits {
  /** Held at once over all addresses. */
  readonly total: number;
  /** Held at once by one address. */
  readonly perAddress: number;
}

export class AddressLimiter {
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

  /** Takes a place for `address`; returns what gives it back (idempotent), or undefined when there is none. */
  admit(address: string): (() => void) | undefined {
    const held = this.#held.get(address) ?? 0;
    if (this.#total >= this.#limits.total || held >= this.#limits.perAddress) return undefined;
    this.#total += 1;
    this.#held.set(address, held + 1);
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#total -= 1;
      const rest = (this.#held.get(address) ?? 1) - 1;
      if (rest === 0) this.#held.delete(address);
      else this.#held.set(address, rest);
    };
  }
}
