import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadsOf, parseBenchOptions } from './options.ts';

/** What a command line measures, and in which loads. */
function asked(...argv: readonly string[]): {
  readonly subjects: readonly string[];
  readonly loads: readonly string[];
} {
  const options = parseBenchOptions(argv);
  assert.ok(options !== undefined);
  return { subjects: [...options.subjects], loads: loadsOf(options) };
}

describe('the command line of the benchmark', () => {
  it('measures everything when nothing is named', () => {
    assert.deepEqual(asked(), {
      subjects: ['small', 'down', 'up', 'private-tcp', 'udp', 'ping', 'slow', 'start'],
      loads: ['small', 'down', 'up', 'tcp-down', 'tcp-up'],
    });
  });

  it('measures what is named', () => {
    assert.deepEqual(asked('--only', 'udp', '--only', 'up').loads, ['up']);
    assert.deepEqual(asked('--only', 'private-tcp').loads, ['tcp-down', 'tcp-up']);
    assert.deepEqual(asked('--only', 'ping'), { subjects: ['ping'], loads: [] });
  });

  it('measures slow visitors over both transports, unless one is named', () => {
    const { protocols, slowSeconds, slowVisitors } = parseBenchOptions([]) ?? {};
    assert.deepEqual(
      { protocols, slowSeconds, slowVisitors },
      {
        ...{ protocols: ['http2', 'quic'], slowSeconds: 8, slowVisitors: [70, 500] },
      },
    );
    const named = parseBenchOptions(['--protocol', 'quic', '--seconds', '2', '--slow-visitors', '5']);
    assert.deepEqual(
      [named?.protocols, named?.protocol, named?.slowSeconds, named?.slowVisitors],
      [['quic'], 'quic', 2, [5]],
    );
  });

  it('refuses what it does not know', () => {
    assert.throws(() => parseBenchOptions(['--only', 'icmp']), /--only must be one of small, down, up/);
    assert.throws(() => parseBenchOptions(['--rounds', '0']), /--rounds must be a number above 0/);
    assert.throws(() => parseBenchOptions(['--slow-visitors', '0']), /--slow-visitors must be a number above 0/);
    assert.throws(() => parseBenchOptions(['--protocol', 'memory']), /--protocol must be one of http2, quic/);
    assert.throws(() => parseBenchOptions(['--visitors', 'quic']), /--visitors must be one of http1, http2/);
  });
});
