// Who of the visitors may be here: connections and requests at once, in all and for each address. A connection without a
// request, idle or with half a head, gives way to a new one; nobody can shut others out by holding many of them.

import { AddressLimiter, type AddressLimits } from '../net/limits/address-limiter.ts';
import { countedAddress, createRateLimiter } from '../net/limits/rate-limiter.ts';
import { Refusals } from '../net/limits/refusals.ts';
import type { Logger } from '../telemetry/logger.ts';

/** Why a visitor was turned away, or a connection without a request closed. */
export type RefusalReason = 'connections' | 'requests' | 'gave-way' | 'flood';

/** The place of one connection. */
export interface Place {
  /** Takes it out of those that may have to give way; `waiting` puts it back, as the newest of them. */
  busy(): void;
  waiting(): void;
}

interface Held extends Place {
  readonly address: string;
  readonly close: () => void;
  isGone: boolean;
}

export interface VisitorLimits {
  readonly connections: AddressLimits;
  readonly requests: AddressLimits;
}

/**
 * A connection costs some 40 KiB, a request a stream of a connector. One address may be a proxy or a carrier's NAT with
 * thousands behind it: it may have a quarter of all, which leaves room for others.
 */
export const visitorLimits: VisitorLimits = {
  connections: { total: 20_000, perAddress: 5_000 },
  requests: { total: 20_000, perAddress: 5_000 },
};

/**
 * HTTP/2 floods that an address may make before it gets HTTP/1.1 only, and how fast that is forgotten: a flood costs some
 * ten milliseconds of CPU before it is cut off, and whoever makes one comes back at once.
 */
export const floodLimits = { burst: 4, perSecond: 0.1 };

export class Places {
  readonly #limits: VisitorLimits;
  readonly #requests: AddressLimiter;
  readonly #refusals: Refusals<RefusalReason>;
  /** All places, by counted address. */
  readonly #held = new Map<string, Set<Held>>();
  /** Those without a request, waiting longest first. */
  readonly #waiting = new Set<Held>();
  readonly #floods = createRateLimiter(floodLimits);
  #connections = 0;

  constructor(logger: Logger, limits: VisitorLimits = visitorLimits) {
    this.#limits = limits;
    this.#requests = new AddressLimiter(limits.requests);
    this.#refusals = new Refusals(logger, 'Too many visitors: some were turned away');
  }

  get connections(): number {
    return this.#connections;
  }

  get requests(): number {
    return this.#requests.total;
  }

  get refused(): ReadonlyMap<RefusalReason, number> {
    return this.#refusals.counts;
  }

  /**
   * Takes a place for a connection, which begins without a request; undefined when there is none. `close` ends the
   * connection at once if it must give way. `leave` gives the place back.
   */
  admit(remoteAddress: string | undefined, close: () => void): { place: Place; leave: () => void } | undefined {
    const address = countedAddress(remoteAddress);
    const { total, perAddress } = this.#limits.connections;
    const mine = this.#held.get(address);
    const isFull = (): boolean => this.#connections >= total;
    if ((mine?.size ?? 0) >= perAddress) this.#makeRoom(mine ?? []);
    else if (isFull()) this.#makeRoom(this.#waiting);
    if (isFull() || (this.#held.get(address)?.size ?? 0) >= perAddress) {
      this.#refusals.add('connections', address);
      return undefined;
    }
    const held: Held = {
      address,
      close,
      isGone: false,
      busy: () => void this.#waiting.delete(held),
      waiting: () => {
        if (!held.isGone) this.#waiting.add(held);
      },
    };
    const all = this.#held.get(address);
    if (all === undefined) this.#held.set(address, new Set([held]));
    else all.add(held);
    this.#waiting.add(held);
    this.#connections += 1;
    return { place: held, leave: () => this.#leave(held) };
  }

  /** Takes a place for a request; returns what gives it back, or undefined when there is none. */
  admitRequest(remoteAddress: string): (() => void) | undefined {
    const leave = this.#requests.admit(remoteAddress);
    if (leave === undefined) this.#refusals.add('requests', remoteAddress);
    return leave;
  }

  /** A connection of this address was ended because it made work for nothing. */
  strike(remoteAddress: string | undefined): void {
    const address = countedAddress(remoteAddress);
    this.#floods.take(address);
    this.#refusals.add('flood', address);
  }

  /** Whether an address has made so many floods that it may not speak HTTP/2 now. */
  isFlooding(remoteAddress: string | undefined): boolean {
    return this.#floods.isEmpty(countedAddress(remoteAddress));
  }

  /** Closes the first of `candidates` that waits. */
  #makeRoom(candidates: Iterable<Held>): void {
    for (const held of candidates) {
      if (!this.#waiting.has(held)) continue;
      this.#leave(held);
      this.#refusals.add('gave-way', held.address);
      held.close();
      return;
    }
  }

  #leave(held: Held): void {
    if (held.isGone) return;
    held.isGone = true;
    this.#connections -= 1;
    this.#waiting.delete(held);
    const all = this.#held.get(held.address);
    all?.delete(held);
    if (all?.size === 0) this.#held.delete(held.address);
  }
}
