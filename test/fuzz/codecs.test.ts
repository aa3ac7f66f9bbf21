// Runs every target on mutations of its valid inputs: a minute in all in CI, three seconds elsewhere. A failure names
// the seed, which FUZZ_SEED repeats; FUZZ_SECONDS sets the time.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isPosternError } from '../../internal/errors/error.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { mutate } from './mutate.ts';
import type { FuzzTarget } from './target.ts';
import { targets } from './targets.ts';

const seconds = Number(process.env.FUZZ_SECONDS ?? (process.env.CI === 'true' ? 66 : 3));
/** One seed a run; each input has one of its own made from it. */
const runSeed = Number(process.env.FUZZ_SEED ?? Date.now() & 0x3fff_ffff);
/** Memory that a target may take beyond what was taken before it: far above what any input may need, below a leak. */
const maxGrowthBytes = 256 * 1024 * 1024;
/** Inputs between two looks at the clock. */
const batch = 50;

/** Runs inputs until the time is over. Gives their number, and how many were accepted. */
async function fuzz(target: FuzzTarget, forMs: number): Promise<{ inputs: number; accepted: number }> {
  const seeds = target.seeds();
  assert.ok(seeds.length > 0, 'a target needs a valid input');
  const end = performance.now() + forMs;
  let round = 0;
  let accepted = 0;
  do {
    for (let index = 0; index < batch; index += 1, round += 1) {
      const random = seededRandom(Math.imul(runSeed, 0x9e3779b1) ^ round);
      const input = mutate(seeds, random);
      const shown = input.length > 4096 ? `${input.length} bytes` : input.toString('hex');
      try {
        const running = target.run(Buffer.from(input), random);
        if (running !== undefined) await running;
        accepted += 1;
      } catch (error) {
        if (isPosternError(error)) continue;
        const where = `FUZZ_SEED=${runSeed}, round ${round}, input ${shown}`;
        throw new Error(`${target.name} failed; repeat with ${where}`, { cause: error });
      }
    }
    await new Promise(resolve => setImmediate(resolve));
  } while (performance.now() < end);
  return { inputs: round, accepted };
}

describe(`fuzz with FUZZ_SEED=${runSeed}`, () => {
  for (const target of targets) {
    it(target.name, async context => {
      const before = process.resourceUsage().maxRSS * 1024;
      const { inputs, accepted } = await fuzz(target, (seconds * 1000) / targets.length);
      const growth = process.resourceUsage().maxRSS * 1024 - before;
      context.diagnostic(`${inputs} inputs, ${accepted} accepted`);
      assert.ok(accepted > 0, 'no input was accepted: the target tests nothing');
      assert.ok(growth < maxGrowthBytes, `memory grew by ${growth} bytes; FUZZ_SEED=${runSeed}`);
    });
  }
});
