import assert from 'node:assert/strict';
import { it } from 'node:test';
import { until } from '../../../test/support/wait.ts';
import { Sampler } from './sampler.ts';

it('things are looked at until they are deleted, with no timer left then', async () => {
  const timers = (): number => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length;
  const before = timers();
  const seen: string[] = [];
  const sampler: Sampler<string, number> = new Sampler(1, (key, value, nowMs) => {
    assert.ok(nowMs > 0);
    seen.push(`${key}${value}`);
    if (seen.length > 4) sampler.delete(key);
  });
  sampler.set('a', 1);
  sampler.set('a', 2);
  sampler.set('b', 3);
  sampler.delete('b');
  await until('five looks', () => seen.length === 5);
  assert.deepEqual(new Set(seen), new Set(['a2']));
  assert.equal(timers(), before);
  sampler.set('c', 4);
  await until('another look', () => seen.at(-1) === 'c4');
  sampler.delete('c');
});
