import assert from 'node:assert/strict';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { describe, it } from 'node:test';
import { countGarbage } from './young-garbage.ts';

describe('young garbage', () => {
  it('is collected every few megabytes, and by a minor collection', async () => {
    const kinds: unknown[] = [];
    const seen = Promise.withResolvers<void>();
    const observer = new PerformanceObserver(list => {
      for (const entry of list.getEntries()) {
        const { kind, flags } = (entry as unknown as { detail: { kind: number; flags: number } }).detail;
        if ((flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) !== 0) kinds.push(kind);
      }
      if (kinds.length >= 4) seen.resolve();
    });
    observer.observe({ entryTypes: ['gc'] });
    for (let at = 0; at < 4 * 128; at += 1) countGarbage(64 * 1024);
    await seen.promise;
    observer.disconnect();
    assert.deepEqual(kinds, new Array(4).fill(constants.NODE_PERFORMANCE_GC_MINOR));
  });

  it('leaves the collector out of reach of the program', () => {
    countGarbage(1 << 30);
    assert.equal((globalThis as { gc?: unknown }).gc, undefined);
  });
});
