// A table keyed by 16 bytes that lie somewhere in a datagram: looked up for every packet without making a string.

import { randomInt } from 'node:crypto';

interface Slot<T> {
  readonly id: Uint8Array;
  value: T;
  next: Slot<T> | undefined;
}

/** Chained hash table. Its hash starts from a random number: who picks ids cannot know in advance which share a chain. */
export class IdTable<T> {
  readonly #slots = new Map<number, Slot<T>>();
  readonly #seed = randomInt(0x7fff_ffff) | 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The value under the 16 bytes at `bytes[at…]`. */
  get(bytes: Uint8Array, at: number): T | undefined {
    for (let slot = this.#slots.get(this.#hash(bytes, at)); slot !== undefined; slot = slot.next)
      if (sameId(slot.id, bytes, at)) return slot.value;
    return undefined;
  }

  /** Sets or replaces the value under `id` (16 bytes, kept by reference: the caller must not change them). */
  set(id: Uint8Array, value: T): void {
    const hash = this.#hash(id, 0);
    const first = this.#slots.get(hash);
    for (let slot = first; slot !== undefined; slot = slot.next) {
      if (!sameId(slot.id, id, 0)) continue;
      slot.value = value;
      return;
    }
    this.#slots.set(hash, { id, value, next: first });
    this.#size += 1;
  }

  /** Removes the value under `id`; with `expected` only if it is that value. False when nothing was removed. */
  delete(id: Uint8Array, expected?: T): boolean {
    const hash = this.#hash(id, 0);
    let previous: Slot<T> | undefined;
    for (let slot = this.#slots.get(hash); slot !== undefined; previous = slot, slot = slot.next) {
      if (!sameId(slot.id, id, 0)) continue;
      if (expected !== undefined && slot.value !== expected) return false;
      if (previous !== undefined) previous.next = slot.next;
      else if (slot.next !== undefined) this.#slots.set(hash, slot.next);
      else this.#slots.delete(hash);
      this.#size -= 1;
      return true;
    }
    return false;
  }

  /** A copy of all values: safe to walk while entries are removed. */
  values(): T[] {
    const all: T[] = [];
    for (const first of this.#slots.values())
      for (let slot: Slot<T> | undefined = first; slot !== undefined; slot = slot.next) all.push(slot.value);
    return all;
  }

  #hash(bytes: Uint8Array, at: number): number {
    let hash = this.#seed;
    for (let index = 0; index < 16; index += 1) hash = Math.imul(hash ^ (bytes[at + index] ?? 0), 0x0100_0193);
    return hash;
  }
}

function sameId(id: Uint8Array, bytes: Uint8Array, at: number): boolean {
  for (let index = 0; index < 16; index += 1) if (id[index] !== bytes[at + index]) return false;
  return true;
}
