import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatVerdicts, judge, type LoadCounts, type Sample, type SoakResult } from './judge.ts';
import { parseSoakOptions } from './options.ts';

const lengthMs = 100_000;

/** A sample a second, from before the load to after it. */
function samples(residentMb: (share: number) => number, descriptors: (share: number) => number): Sample[] {
  return Array.from({ length: 112 }, (_, second) => {
    const share = (second - 1) / 100;
    return { atMs: share * lengthMs, residentMb: residentMb(share), descriptors: descriptors(share), threads: 11 };
  });
}

const steady = samples(
  share => 100 + (Math.round(share * 100) % 10) * 8,
  share => (share > 0 && share < 1 ? 80 : 20),
);
const fine: LoadCounts = { done: 1_000, failed: 0, cut: 7, firstFailure: undefined };

function failedOf(change: Partial<SoakResult>): readonly string[] {
  const result: SoakResult = {
    lengthMs,
    processes: { edge: steady },
    loads: { requests: fine },
    faults: [],
    ...change,
  };
  return judge(result)
    .filter(({ passed }) => !passed)
    .map(({ subject, what }) => `${subject} ${what}`);
}

describe('the judgement of a soak', () => {
  it('passes memory that swings, descriptors of the load, and requests that were cut on purpose', () => {
    assert.deepEqual(failedOf({}), []);
  });

  it('finds memory that grows beneath the swings', () => {
    const growing = samples(
      share => 100 + share * 80 + (Math.round(share * 100) % 10) * 8,
      () => 20,
    );
    assert.deepEqual(failedOf({ processes: { edge: growing } }), ['edge memory, MB']);
    // A start that takes its time is none.
    const warm = samples(
      share => 100 + Math.min(share, 0.2) * 400,
      () => 20,
    );
    assert.deepEqual(failedOf({ processes: { edge: warm } }), []);
  });

  it('finds descriptors and threads that stay when the load is over', () => {
    const kept = samples(
      () => 100,
      share => (share > 0 ? 40 : 20),
    );
    const threads = steady.map((sample, at) => ({ ...sample, threads: 10 + at }));
    assert.deepEqual(failedOf({ processes: { connector: kept } }), ['connector descriptors']);
    assert.deepEqual(failedOf({ processes: { connector: threads } }), ['connector threads']);
  });

  it('finds a failure, a load that never happened, a fault, and samples that are missing', () => {
    const one = { ...fine, failed: 1, firstFailure: 'status 502' };
    assert.deepEqual(failedOf({ loads: { uploads: one } }), ['uploads failures']);
    assert.deepEqual(failedOf({ loads: { uploads: { ...fine, done: 0 } } }), ['uploads failures']);
    assert.deepEqual(failedOf({ faults: ['the connector ended with 1'] }), ['soak fault']);
    const cut = steady.filter(({ atMs }) => atMs < 0.7 * lengthMs);
    assert.deepEqual(failedOf({ processes: { edge: cut } }), ['edge samples']);
    const table = formatVerdicts(judge({ lengthMs, processes: {}, loads: { uploads: one }, faults: [] }));
    assert.match(table, /uploads {2}failures {2}1 of 1008 \(7 more cut on purpose\): status 502 .* OVER/);
  });
});

describe('the command line of a soak', () => {
  it('has defaults, and refuses what cannot be', () => {
    assert.deepEqual(parseSoakOptions([]), { minutes: 20, protocol: 'auto' });
    assert.deepEqual(parseSoakOptions(['--minutes', '5', '--protocol', 'quic']), { minutes: 5, protocol: 'quic' });
    assert.equal(parseSoakOptions(['--help']), undefined);
    for (const args of [
      ['--minutes', '0'],
      ['--minutes', 'x'],
      ['--protocol', 'tcp'],
      ['--hours', '1'],
    ])
      assert.throws(() => parseSoakOptions(args));
  });
});
