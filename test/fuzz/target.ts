// What a codec brings to be fuzzed: valid inputs, and a function that takes mutations of them.

import type { SeededRandom } from '../support/seeded-random.ts';

export interface FuzzTarget {
  readonly name: string;
  /** Valid inputs, at least one; mutations and mixtures of them are what `run` gets. */
  seeds(): readonly Uint8Array[];
  /**
   * Takes one input, which is its own copy. May throw a PosternError and nothing else; asserts what must hold for inputs
   * that are accepted (what is decoded can be encoded again, chunks do not matter, …).
   */
  run(input: Buffer, random: SeededRandom): void | Promise<void>;
}

/** Cuts bytes into random chunks, each a copy. */
export function randomChunks(bytes: Buffer, random: SeededRandom): Buffer[] {
  const chunks: Buffer[] = [];
  const largest = [1, 8, 64, 4096][random.below(4)] ?? 1;
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + random.below(largest);
    chunks.push(Buffer.from(bytes.subarray(at, at + length)));
    at += length;
  }
  return chunks;
}
