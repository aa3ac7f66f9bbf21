// Which connection uses which edge address: allocation over two regions, rotation, giving back, and the switch between
// address families. Pure: time and randomness are passed in, nothing waits. Source: docs/protocol/edge-protocol.md
// §2.3, §2.4.
//
// Differs on purpose: with `share`, connections beyond the number of addresses share the least used one, so a single
// static address serves all of them; and the table can be replaced after a new look-up without moving a connection.

import { type EdgeAddress, type EdgeRegions, formatEdgeAddress, type IpFamily } from './edge-address.ts';

export type EdgeIpVersion = 'auto' | IpFamily;

export interface AddressPoolOptions {
  readonly version: EdgeIpVersion;
  /** Hand out an address twice when all are taken; for static edges. */
  readonly share: boolean;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  /** Milliseconds of a clock that never jumps back. */
  readonly nowMs: () => number;
}

/** How long the other family is preferred after an IPv6 address failed. */
export const primaryTimeoutMs = 10 * 60_000;

/** Addresses that are used unevenly: one of the most used, one of the least used, and who uses the first. */
export interface UnevenUse {
  readonly to: EdgeAddress;
  /** Nobody uses `to`. */
  readonly isUnused: boolean;
  readonly users: readonly number[];
}

interface Entry {
  readonly address: EdgeAddress;
  readonly users: Set<number>;
}

interface Region {
  readonly entries: readonly Entry[];
  readonly primary: IpFamily;
  readonly hasSecondary: boolean;
  active: IpFamily;
  primaryAgainAtMs: number;
}

/** Users of addresses are connection indexes; each has one address at most. */
export class AddressPool {
  readonly #options: AddressPoolOptions;
  #regions: readonly Region[] = [];

  constructor(regions: EdgeRegions, options: AddressPoolOptions) {
    this.#options = options;
    this.replace(regions);
  }

  /** How many connections can have an address now: unlimited when addresses are shared and there is one. */
  get capacity(): number {
    const count = this.#regions.reduce((sum, region) => sum + active(region).length, 0);
    return this.#options.share && count > 0 ? Number.POSITIVE_INFINITY : count;
  }

  /** The address of `connIndex`, allocated if it has none; undefined when none is free. */
  get(connIndex: number): EdgeAddress | undefined {
    return (this.#assigned(connIndex)?.entry ?? this.#take(connIndex, undefined))?.address;
  }

  /** Gives the present address of `connIndex` back as failing and allocates another; undefined when there is no other. */
  rotate(connIndex: number): EdgeAddress | undefined {
    const previous = this.#assigned(connIndex)?.entry;
    this.giveBack(connIndex, true);
    return this.#take(connIndex, previous)?.address;
  }

  /** Frees the address of `connIndex`. A connectivity error may switch its region to the other address family. */
  giveBack(connIndex: number, connectivityError: boolean): void {
    const found = this.#assigned(connIndex);
    if (found === undefined) return;
    found.entry.users.delete(connIndex);
    if (connectivityError) this.#noteFailure(found.region, found.entry.address.family);
  }

  /**
   * Where connections share addresses, and one has at least two users more than another; undefined when all is even. An
   * address that is listed several times counts once.
   */
  get uneven(): UnevenUse | undefined {
    if (!this.#options.share) return undefined;
    const uses = new Map<string, { readonly address: EdgeAddress; readonly users: number[] }>();
    for (const { address, users } of this.#regions.flatMap(active)) {
      const key = formatEdgeAddress(address);
      const use = uses.get(key) ?? { address, users: [] };
      use.users.push(...users);
      uses.set(key, use);
    }
    const byUse = [...uses.values()].sort((a, b) => a.users.length - b.users.length);
    const [least, most] = [byUse[0], byUse.at(-1)];
    if (least === undefined || most === undefined || most.users.length - least.users.length < 2) return undefined;
    return { to: least.address, isUnused: least.users.length === 0, users: most.users };
  }

  /** `connIndex` uses `address` from now on, if that is still listed. */
  assign(connIndex: number, address: EdgeAddress): void {
    const key = formatEdgeAddress(address);
    const all = this.#regions.flatMap(region => region.entries);
    const same = all.filter(entry => formatEdgeAddress(entry.address) === key);
    const entry = same.sort((a, b) => a.users.size - b.users.size)[0];
    if (entry === undefined || entry.users.has(connIndex)) return;
    this.giveBack(connIndex, false);
    entry.users.add(connIndex);
  }

  /** Takes a new table. A connection keeps its address if that is still listed; regions keep their family when possible. */
  replace(regions: EdgeRegions): void {
    const previous = this.#regions;
    const used = new Map<string, number[]>();
    for (const entry of previous.flatMap(region => region.entries)) {
      const key = formatEdgeAddress(entry.address);
      used.set(key, [...(used.get(key) ?? []), ...entry.users]);
    }
    this.#regions = regions.map((addresses, index) => {
      const primary = this.#options.version === 'auto' ? (addresses[0]?.family ?? 4) : this.#options.version;
      const hasSecondary = this.#options.version === 'auto' && addresses.some(address => address.family !== primary);
      const before = previous[index];
      const keep = before !== undefined && before.primary === primary && hasSecondary;
      return {
        entries: addresses.map(address => ({ address, users: new Set<number>() })),
        primary,
        hasSecondary,
        active: keep ? before.active : primary,
        primaryAgainAtMs: keep ? before.primaryAgainAtMs : 0,
      };
    });
    // A list may name one address several times: users are dealt over its entries.
    for (const [key, users] of used) {
      const same = this.#regions.flatMap(region => region.entries).filter(e => formatEdgeAddress(e.address) === key);
      users.forEach((user, index) => {
        same[index % same.length]?.users.add(user);
      });
    }
  }

  #assigned(connIndex: number): { region: Region; entry: Entry } | undefined {
    for (const region of this.#regions) {
      const entry = region.entries.find(candidate => candidate.users.has(connIndex));
      if (entry !== undefined) return { region, entry };
    }
    return undefined;
  }

  #take(connIndex: number, excluded: Entry | undefined): Entry | undefined {
    const free = this.#regions.map(region =>
      active(region).filter(entry => entry.users.size === 0 && entry !== excluded),
    );
    const [a = [], b = []] = free;
    const aFirst = a.length === b.length ? this.#options.random() < 0.5 : a.length > b.length;
    const order = aFirst ? [a, b] : [b, a];
    const chosen = this.#pick(order.find(entries => entries.length > 0) ?? []) ?? this.#pickShared(excluded);
    chosen?.users.add(connIndex);
    return chosen;
  }

  #pickShared(excluded: Entry | undefined): Entry | undefined {
    if (!this.#options.share) return undefined;
    const all = this.#regions.flatMap(active);
    const others = all.filter(entry => entry !== excluded);
    const candidates = others.length > 0 ? others : all;
    const least = Math.min(...candidates.map(entry => entry.users.size));
    return this.#pick(candidates.filter(entry => entry.users.size === least));
  }

  #pick(entries: readonly Entry[]): Entry | undefined {
    return entries[Math.floor(this.#options.random() * entries.length)];
  }

  #noteFailure(region: Region, family: IpFamily): void {
    if (region.active === region.primary) {
      if (family === 6 && region.hasSecondary) {
        region.active = region.primary === 4 ? 6 : 4;
        region.primaryAgainAtMs = this.#options.nowMs() + primaryTimeoutMs;
      }
    } else if (family === 4 || this.#options.nowMs() >= region.primaryAgainAtMs) {
      region.active = region.primary;
    }
  }
}

function active(region: Region): readonly Entry[] {
  return region.entries.filter(entry => entry.address.family === region.active);
}
