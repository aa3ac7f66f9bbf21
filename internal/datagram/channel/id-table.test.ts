import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../../../test/support/seeded-random.ts';
import { IdTable } from './id-table.ts';

describe('id table', () => {
  it('behaves as a map by the text of the id, over many random operations', () => {
    const random = seededRandom(7);
    const table = new IdTable<number>();
    const model = new Map<string, number>();
    const ids = Array.from({ length: 50 }, () => random.bytes(16));
    for (let round = 0; round < 5_000; round += 1) {
      const id = ids[random.below(ids.length)] ?? new Uint8Array(16);
      const key = Buffer.from(id).toString('hex');
      if (random.below(3) === 0) assert.equal(table.delete(id), model.delete(key));
      else {
        table.set(id, round);
        model.set(key, round);
      }
      assert.equal(table.size, model.size);
      const padded = Buffer.concat([Buffer.of(9, 9), id]);
      assert.equal(table.get(padded, 2), model.get(key));
    }
    assert.deepEqual(table.values().sort(), [...model.values()].sort());
  });

  it('removes an entry only if it is the expected one', () => {
    const table = new IdTable<string>();
    const id = new Uint8Array(16);
    table.set(id, 'new');
    assert.ok(!table.delete(id, 'old'));
    assert.ok(table.delete(id, 'new'));
    assert.equal(table.size, 0);
  });
});
