import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cachedDataVersionTag } from 'node:v8';
import { settleHeap, youngBytes } from './settle-heap.ts';

/** Garbage that lives for a while, as that of requests under way does. */
function work(): void {
  const alive: unknown[] = [];
  for (let at = 0; at < 2_000_000; at += 1) alive[at % 50_000] = { at, list: [at] };
}

describe('settling the heap', () => {
  it('bounds the young generation, and leaves flags as they were', () => {
    const tag = cachedDataVersionTag();
    work();
    const before = youngBytes();
    {
      using _settled = settleHeap();
      work();
      assert.ok(youngBytes() <= 10_000_000, `${youngBytes()} bytes, ${before} before`);
      assert.ok(before > 10_000_000, `${before} bytes: nothing was to be bounded`);
    }
    assert.equal(cachedDataVersionTag(), tag);
    assert.equal((globalThis as { gc?: unknown }).gc, undefined);
  });
});
