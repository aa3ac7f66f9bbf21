// Picks one of several by weight: at random, by a hash, or the one with the least to do. Pure; the only state is what the
// candidates bring.

export interface Candidate {
  /** Names it for the hash; the same after a restart. */
  readonly key: string;
  /** 0…1; one of weight 0 is never picked. */
  readonly weight: number;
  /** Requests that it has not completely answered. */
  readonly outstanding: number;
}

/** 0 ≤ x < 1. */
export type Random = () => number;

/** Each as often as its weight says. */
export function pickRandom<T extends Candidate>(candidates: readonly T[], random: Random): T | undefined {
  let total = 0;
  for (const { weight } of candidates) total += weight;
  let left = random() * total;
  let last: T | undefined;
  for (const one of candidates) {
    if (one.weight <= 0) continue;
    last = one;
    left -= one.weight;
    if (left < 0) return one;
  }
  return last;
}

/**
 * The same one for the same text as long as it is there: when one goes, only its texts move, and they come back with it
 * (weighted rendezvous hashing).
 */
export function pickHashed<T extends Candidate>(candidates: readonly T[], text: string): T | undefined {
  let best: T | undefined;
  let score = Number.NEGATIVE_INFINITY;
  for (const one of candidates) {
    if (one.weight <= 0) continue;
    const own = -one.weight / Math.log(hashUnit(`${one.key}\n${text}`));
    if (own > score) {
      best = one;
      score = own;
    }
  }
  return best;
}

/** The one with the least to do for its weight; equals at random. */
export function pickLeast<T extends Candidate>(candidates: readonly T[], random: Random): T | undefined {
  let best: T | undefined;
  let least = Number.POSITIVE_INFINITY;
  let equals = 0;
  for (const one of candidates) {
    if (one.weight <= 0) continue;
    const load = (one.outstanding + 1) / one.weight;
    if (load > least) continue;
    equals = load < least ? 1 : equals + 1;
    // The n-th of equals takes the place with a chance of one in n, which is the same chance for each.
    if (load < least || random() * equals < 1) best = one;
    least = load;
  }
  return best;
}

/** 0 < x < 1, evenly spread over texts. Two FNV-like sums of 32 bits, mixed at the end as MurmurHash3 does. */
export function hashUnit(text: string): number {
  let first = 0x811c_9dc5;
  let second = 0x9e37_79b9;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    first = Math.imul(first ^ code, 0x0100_0193);
    second = Math.imul(second ^ code, 0x85eb_ca6b);
  }
  const high = mixed(first ^ (second >>> 15));
  const low = mixed(second ^ high);
  // 52 bits and a half: never 0, never 1.
  return (high * 0x10_0000 + (low >>> 12) + 0.5) / 0x10_0000_0000_0000;
}

function mixed(value: number): number {
  let bits = value;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85eb_ca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2_ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
