// Picking against a naive model: thousands of made-up pools, by a fixed seed, and how often each candidate comes.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type SeededRandom, seededRandom } from '../../../test/support/seeded-random.ts';
import { type Candidate, hashUnit, pickHashed, pickLeast, pickRandom } from './pick.ts';

const unitOf = (random: SeededRandom) => () => random.below(0x1_0000_0000) / 0x1_0000_0000;

function candidates(random: SeededRandom): Candidate[] {
  return Array.from({ length: random.below(7) }, (_, index) => ({
    key: `k${index}`,
    weight: [0, 0.1, 0.5, 1][random.below(4)] ?? 1,
    outstanding: random.below(5),
  }));
}

describe('picking', () => {
  it('gives nobody of weight 0, and somebody whenever there is one', () => {
    const random = seededRandom(1);
    for (let round = 0; round < 3_000; round += 1) {
      const all = candidates(random);
      const possible = all.filter(one => one.weight > 0);
      const picks = [pickRandom(all, unitOf(random)), pickHashed(all, `t${round}`), pickLeast(all, unitOf(random))];
      for (const pick of picks) {
        assert.equal(pick === undefined, possible.length === 0, `round ${round}`);
        assert.ok(pick === undefined || possible.includes(pick), `round ${round}`);
      }
    }
  });

  it('takes one of those with the least to do for their weight, as sorting finds them', () => {
    const random = seededRandom(2);
    for (let round = 0; round < 3_000; round += 1) {
      const all = candidates(random);
      const load = (one: Candidate): number => (one.outstanding + 1) / one.weight;
      const sorted = all.filter(one => one.weight > 0).toSorted((a, b) => load(a) - load(b));
      const pick = pickLeast(all, unitOf(random));
      if (pick !== undefined) assert.equal(load(pick), load(sorted[0] ?? pick), `round ${round}`);
    }
  });

  it('is as frequent as the weights say', () => {
    const weighted = [1, 0.5, 0.25, 0.25].map((weight, index) => ({ key: `k${index}`, weight, outstanding: 0 }));
    const random = seededRandom(3);
    const rounds = 20_000;
    const check = (what: string, pick: (round: number) => Candidate | undefined): void => {
      const counts = new Map<string, number>();
      for (let round = 0; round < rounds; round += 1) {
        const { key } = pick(round) ?? assert.fail();
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
      for (const { key, weight } of weighted) {
        const share = (counts.get(key) ?? 0) / rounds;
        assert.ok(Math.abs(share - weight / 2) < 0.015, `${what}: ${key} had ${share} of all, not ${weight / 2}`);
      }
    };
    check('random', () => pickRandom(weighted, unitOf(random)));
    check('hash', round => pickHashed(weighted, `192.0.${round >> 8}.${round & 255}`));
    const equals = weighted.map(one => ({ ...one, weight: 1 }));
    const firsts = Array.from({ length: rounds }, () => pickLeast(equals, unitOf(random))?.key);
    for (const { key } of equals) {
      const share = firsts.filter(one => one === key).length / rounds;
      assert.ok(Math.abs(share - 0.25) < 0.015, `least: ${key} had ${share} of equals`);
    }
  });

  it('moves only the texts of the one that goes, and gives them back', () => {
    const all = Array.from({ length: 5 }, (_, index) => ({ key: `k${index}`, weight: 1, outstanding: 0 }));
    const [gone, ...rest] = all;
    for (let round = 0; round < 2_000; round += 1) {
      const before = pickHashed(all, `t${round}`);
      const without = pickHashed(rest, `t${round}`);
      if (before !== gone) assert.equal(without, before);
      assert.equal(pickHashed(all.toReversed(), `t${round}`), before);
    }
  });

  it('hashes evenly, between 0 and 1', () => {
    const buckets = new Array<number>(16).fill(0);
    for (let index = 0; index < 16_000; index += 1) {
      const unit = hashUnit(`k${index}`);
      assert.ok(unit > 0 && unit < 1);
      const bucket = Math.floor(unit * 16);
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    // 1,000 are expected of each, with a deviation of 31.
    for (const count of buckets) assert.ok(count > 850 && count < 1150, buckets.join(' '));
  });
});
