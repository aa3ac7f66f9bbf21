import assert from 'node:assert/strict';
import { it } from 'node:test';
import { counter, Histogram, histogram } from '../telemetry/metrics.ts';
import { createExposition } from './metric-exposition.ts';

const build = { version: '1', runtime: 'node' };

it('a histogram is told as buckets that hold all below them, a sum and a count', async () => {
  const sizes = new Histogram([1, 10]);
  for (const value of [0, 1, 1.5, 10, 11]) sizes.observe(value);
  const expose = createExposition(build, [histogram('sizes', 'Sizes', ['host'], () => [[{ host: 'a"b' }, sizes]])]);
  const { text } = await expose();
  assert.deepEqual(
    text.split('\n').filter(line => line.includes('sizes')),
    [
      '# HELP sizes Sizes',
      '# TYPE sizes histogram',
      'sizes_bucket{host="a\\"b",le="1"} 2',
      'sizes_bucket{host="a\\"b",le="10"} 4',
      'sizes_bucket{host="a\\"b",le="+Inf"} 5',
      'sizes_sum{host="a\\"b"} 23.5',
      'sizes_count{host="a\\"b"} 5',
    ],
  );
  sizes.observe(1);
  assert.match((await expose()).text, /^sizes_count\{host="a\\"b"\} 6$/m);
});

it('two families of one name are a mistake', () => {
  const one = counter('one_total', 'One', [], () => []);
  const sizes = histogram('sizes', 'Sizes', [], () => []);
  assert.throws(() => createExposition(build, [one, one]), /already been registered/);
  assert.throws(() => createExposition(build, [sizes, { ...sizes }]), /already been registered/);
});

it('the process tells what it uses', async () => {
  const { text } = await createExposition(build, [])();
  const value = (name: string): number => Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
  assert.ok(value('process_cpu_seconds_total') > 0);
  assert.ok(value('process_resident_memory_bytes') > 10e6);
  assert.ok(Math.abs(value('process_start_time_seconds') - (Date.now() / 1_000 - process.uptime())) < 2);
  if (process.platform !== 'linux') return;
  assert.ok(value('process_open_fds') > 0 && value('process_max_fds') >= value('process_open_fds'));
  assert.ok(value('process_virtual_memory_bytes') > value('process_resident_memory_bytes'));
});
