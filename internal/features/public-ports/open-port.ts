// What the listeners of either protocol share: who may come in, and what they need of the edge.

import { AddressLimiter } from '../../net/limits/address-limiter.ts';
import type { Refusals } from '../../net/limits/refusals.ts';
import type { PrivateNetwork } from '../../private-network/private-network.ts';
import type { NetworkRecord, PublicPortRecord } from '../../store/contract/records.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { isAllowed, type PortSettings } from './port-settings.ts';

/**
 * Why somebody was turned away: not in the list of those allowed, too many of the port or of the address, too many of all
 * ports, or nobody who would serve them.
 */
export type PortRefusal = 'not-allowed' | 'port-full' | 'address-full' | 'edge-full' | 'unreachable';

/** Connections and sessions of all public ports at once, and of one address: as for visitors over HTTP. */
export const edgeLimits = { total: 20_000, perAddress: 5_000 };

/** Counted over all ports of the edge. */
export interface PortCounts {
  active: number;
  opened: number;
}

export interface PortParts {
  readonly network: PrivateNetwork;
  readonly logger: Logger;
  /** Address to listen on. */
  readonly host: string;
  /** Places of all ports. */
  readonly places: AddressLimiter;
  readonly counts: Readonly<Record<PublicPortRecord['protocol'], PortCounts>>;
  readonly refusals: Refusals<PortRefusal>;
}

/** A port that is listened on. */
export interface OpenPort {
  /** Takes nobody new; who is there stays. Idempotent. */
  stop(): void;
  /** Cuts everybody too. Settles when the port is free again. Idempotent. */
  close(): Promise<void>;
}

/** Who may come in to one port. */
export class PortDoor {
  readonly #parts: PortParts;
  readonly #route: PublicPortRecord;
  readonly #settings: PortSettings;
  readonly #all: AddressLimiter;
  readonly #byAddress: AddressLimiter;

  constructor(parts: PortParts, route: PublicPortRecord, settings: PortSettings) {
    this.#parts = parts;
    this.#route = route;
    this.#settings = settings;
    const { maxConnections: total, maxPerAddress: perAddress } = settings;
    this.#all = new AddressLimiter({ total, perAddress: total });
    this.#byAddress = new AddressLimiter({ total, perAddress });
  }

  /** What gives the place back (idempotent); undefined for somebody who is turned away, which is counted. */
  admit(address: string | undefined): (() => void) | undefined {
    const { places, counts } = this.#parts;
    if (!isAllowed(this.#settings, address)) return this.refuse('not-allowed', address);
    const steps = [
      [this.#all, 'port-full'],
      [this.#byAddress, 'address-full'],
      [places, 'edge-full'],
    ] as const;
    const taken: (() => void)[] = [];
    for (const [limiter, reason] of steps) {
      const leave = limiter.admit(address);
      if (leave === undefined) {
        for (const giveBack of taken) giveBack();
        return this.refuse(reason, address);
      }
      taken.push(leave);
    }
    const count = counts[this.#route.protocol];
    count.active += 1;
    count.opened += 1;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      count.active -= 1;
      for (const giveBack of taken) giveBack();
    };
  }

  refuse(reason: PortRefusal, address: string | undefined): undefined {
    this.#parts.refusals.add(reason, address ?? '');
    return undefined;
  }

  /** The network in whose name flows are opened: the account's default one. */
  get network(): NetworkRecord | undefined {
    return this.#parts.network.routes.networkOf(this.#route.accountTag);
  }
}
