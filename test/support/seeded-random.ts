// Random numbers that are the same in every run: a failure names its seed and can be repeated. (mulberry32)

export interface SeededRandom {
  /** An integer of 0…limit−1. */
  below(limit: number): number;
  bytes(length: number): Uint8Array<ArrayBuffer>;
}

export function seededRandom(seed: number): SeededRandom {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  return {
    below: limit => Math.floor((next() / 0x1_0000_0000) * limit),
    bytes: length => Uint8Array.from({ length }, () => next() & 0xff),
  };
}
