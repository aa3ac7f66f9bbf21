import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseBenchOptions } from './options.ts';

/** What a command line measures. */
function asked(...argv: readonly string[]): readonly string[] {
  const options = parseBenchOptions(argv);
  assert.ok(options !== undefined);
  const { calibrate, kinds, privateTcp, udp, ping } = options;
  const flags = { calibrate, 'private-tcp': privateTcp, udp, ping };
  return [...kinds, ...Object.entries(flags).flatMap(([name, on]) => (on ? [name] : []))];
}

describe('the command line of the benchmark', () => {
  it('measures everything when nothing is named', () => {
    assert.deepEqual(asked(), ['small', 'down', 'up', 'calibrate', 'private-tcp', 'udp', 'ping']);
  });

  it('measures what is named, the machine only when asked', () => {
    assert.deepEqual(asked('--only', 'udp', '--only', 'up'), ['up', 'udp']);
    assert.deepEqual(asked('--only', 'ping', '--calibrate'), ['calibrate', 'ping']);
    assert.deepEqual(asked('--calibrate'), ['calibrate']);
  });

  it('refuses what it does not know', () => {
    assert.throws(() => parseBenchOptions(['--only', 'icmp']), /--only must be one of small, down, up/);
    assert.throws(() => parseBenchOptions(['--rounds', '0']), /--rounds must be a number above 0/);
    assert.throws(() => parseBenchOptions(['--protocol', 'memory']), /--protocol must be one of http2, quic/);
  });
});
