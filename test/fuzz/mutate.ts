// Mutations of valid inputs, as fuzzers make them: flipped bits, odd numbers, pieces cut, doubled, moved and mixed.

import type { SeededRandom } from '../support/seeded-random.ts';

/** Largest mutation, in bytes: beyond it doubling a piece does nothing. */
const maxBytes = 64 * 1024;
/** Values at which sizes, offsets and counts go wrong. */
const oddNumbers = [
  0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff,
];

/** One to eight mutations of one of `seeds`; sometimes the seed as it is. The result is a copy. */
export function mutate(seeds: readonly Uint8Array[], random: SeededRandom): Buffer {
  let bytes = Buffer.from(seeds[random.below(seeds.length)] ?? new Uint8Array());
  if (random.below(64) === 0) return bytes;
  for (let count = 1 + random.below(random.below(4) === 0 ? 8 : 2); count > 0; count -= 1)
    bytes = mutateOnce(bytes, seeds, random);
  return bytes;
}

function mutateOnce(
  bytes: Buffer<ArrayBuffer>,
  seeds: readonly Uint8Array[],
  random: SeededRandom,
): Buffer<ArrayBuffer> {
  const at = random.below(bytes.length + 1);
  const length = random.below(Math.min(bytes.length - at, 64) + 1);
  switch (random.below(9)) {
    case 0: // One bit.
      if (at < bytes.length) bytes.writeUInt8((bytes[at] ?? 0) ^ (1 << random.below(8)), at);
      return bytes;
    case 1: // One byte.
      if (at < bytes.length) bytes.writeUInt8(random.below(256), at);
      return bytes;
    case 2: // An odd number of four bytes, where words lie or anywhere.
      return writeNumber(bytes, random.below(2) === 0 ? at : at & ~3, random);
    case 3: // A word moved a little: pointers.
      if (at + 4 <= bytes.length) bytes.writeInt32LE((bytes.readInt32LE(at) + (random.below(17) - 8) * 4) | 0, at);
      return bytes;
    case 4: // Cut off.
      return bytes.subarray(0, at);
    case 5: // A piece taken out.
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 6: // A piece doubled.
      return bytes.length > maxBytes
        ? bytes
        : Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at, at + length), bytes.subarray(at + length)]);
    case 7: // Random bytes put in.
      return Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.below(16)), bytes.subarray(at)]);
    default: // The rest of another input.
      return mix(bytes.subarray(0, at), Buffer.from(seeds[random.below(seeds.length)] ?? new Uint8Array()), random);
  }
}

function writeNumber(bytes: Buffer<ArrayBuffer>, at: number, random: SeededRandom): Buffer<ArrayBuffer> {
  const value = oddNumbers[random.below(oddNumbers.length)] ?? 0;
  if (at + 4 > bytes.length) return bytes;
  if (random.below(4) === 0) bytes.writeUInt32BE(value, at);
  else bytes.writeUInt32LE(value, at);
  return bytes;
}

function mix(start: Buffer<ArrayBuffer>, other: Buffer<ArrayBuffer>, random: SeededRandom): Buffer<ArrayBuffer> {
  return Buffer.concat([start, other.subarray(random.below(other.length + 1))]);
}
