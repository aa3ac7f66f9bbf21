import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { describe, it } from 'node:test';
import type { Tunnel } from '../../internal/connector/tunnel.ts';
import { until } from '../../test/support/wait.ts';
import { settleMemory } from './settle-memory.ts';

describe('memory of a connector at rest', () => {
  it('is collected once, when no request is under way', async () => {
    let collections = 0;
    const observer = new PerformanceObserver(list => {
      for (const entry of list.getEntries()) {
        const { kind, flags } = (entry as unknown as { detail: { kind: number; flags: number } }).detail;
        // V8's own are for no reason of these.
        const isAsked = (flags & constants.NODE_PERFORMANCE_GC_FLAGS_ALL_AVAILABLE_GARBAGE) !== 0;
        if (isAsked && kind === constants.NODE_PERFORMANCE_GC_MAJOR) collections += 1;
      }
    });
    observer.observe({ entryTypes: ['gc'] });
    const connector = new EventEmitter() as unknown as Tunnel['connector'];
    const metrics = { concurrentRequests: 1 };
    const callOff = settleMemory({ connector, metrics: metrics as unknown as Tunnel['metrics'] }, 20);
    connector.emit('ready', 1);
    await new Promise(resolve => setTimeout(resolve, 100));
    assert.equal(collections, 0);
    metrics.concurrentRequests = 0;
    await until('the collection', () => collections > 0);
    const seen = collections;
    connector.emit('ready', 2);
    await new Promise(resolve => setTimeout(resolve, 100));
    assert.equal(collections, seen);
    callOff();
    observer.disconnect();
  });
});
