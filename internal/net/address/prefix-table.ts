// A table of prefixes with one value each; the longest prefix that contains an address wins.

import type { IpBytes } from './ip.ts';
import { maskAddress, type Prefix } from './prefix.ts';

/**
 * One hash map a prefix length in use, looked through from long to short. A table of private routes has few distinct
 * lengths, so this beats a trie in memory and in code, and a lookup costs one hash a length.
 */
export class PrefixTable<T> {
  /** Index: family (0 IPv4, 1 IPv6), then prefix length. */
  readonly #maps: [Map<number, Map<string, T>>, Map<number, Map<string, T>>] = [new Map(), new Map()];
  readonly #lengths: [number[], number[]] = [[], []];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The value of exactly this prefix. */
  get(prefix: Prefix): T | undefined {
    return this.#maps[family(prefix.bytes)].get(prefix.bits)?.get(keyOf(prefix.bytes));
  }

  /** Sets or replaces the value of exactly this prefix. */
  set(prefix: Prefix, value: T): void {
    const which = family(prefix.bytes);
    let map = this.#maps[which].get(prefix.bits);
    if (map === undefined) {
      map = new Map();
      this.#maps[which].set(prefix.bits, map);
      this.#lengths[which] = [...this.#maps[which].keys()].sort((a, b) => b - a);
    }
    const key = keyOf(prefix.bytes);
    if (!map.has(key)) this.#size += 1;
    map.set(key, value);
  }

  /** Removes exactly this prefix; false when it was not there. */
  delete(prefix: Prefix): boolean {
    const which = family(prefix.bytes);
    const map = this.#maps[which].get(prefix.bits);
    if (map === undefined || !map.delete(keyOf(prefix.bytes))) return false;
    this.#size -= 1;
    if (map.size === 0) {
      this.#maps[which].delete(prefix.bits);
      this.#lengths[which] = this.#lengths[which].filter(bits => bits !== prefix.bits);
    }
    return true;
  }

  /** The value of the longest prefix that contains `address`. */
  lookup(address: IpBytes): T | undefined {
    const which = family(address);
    for (const bits of this.#lengths[which]) {
      const map = this.#maps[which].get(bits);
      const key = keyOf(maskAddress(address, bits));
      if (map?.has(key) === true) return map.get(key);
    }
    return undefined;
  }
}

function family(bytes: IpBytes): 0 | 1 {
  return bytes.length === 4 ? 0 : 1;
}

function keyOf(bytes: IpBytes): string {
  return String.fromCharCode(...bytes);
}
