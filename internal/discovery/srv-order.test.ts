import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { orderSrv } from './srv-order.ts';

const record = (name: string, priority: number, weight: number) => ({ name, port: 1, priority, weight });

describe('SRV order', () => {
  it('follows priority', () => {
    const ordered = orderSrv([record('c', 3, 1), record('a', 1, 1), record('b', 2, 1)], () => 0.5);
    assert.deepEqual(
      ordered.map(r => r.name),
      ['a', 'b', 'c'],
    );
  });

  it('draws by weight inside a priority', () => {
    const records = [record('light', 1, 1), record('heavy', 1, 9)];
    // Point 0…1 of 10 falls on the light one, the rest on the heavy one.
    assert.deepEqual(
      orderSrv(records, () => 0.01).map(r => r.name),
      ['light', 'heavy'],
    );
    assert.deepEqual(
      orderSrv(records, () => 0.5).map(r => r.name),
      ['heavy', 'light'],
    );
  });

  it('keeps every record, also with zero weights and extreme randomness', () => {
    for (const random of [0, 0.999_999]) {
      const ordered = orderSrv([record('a', 1, 0), record('b', 1, 0), record('c', 1, 5)], () => random);
      assert.deepEqual(ordered.map(r => r.name).sort(), ['a', 'b', 'c']);
    }
    assert.deepEqual(
      orderSrv([], () => 0),
      [],
    );
  });
});
