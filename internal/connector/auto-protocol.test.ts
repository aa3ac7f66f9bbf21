import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PosternError } from '../errors/error.ts';
import { AutoProtocol, firstTrialMs } from './auto-protocol.ts';

function create() {
  const clock = { ms: 0 };
  const changes: string[] = [];
  const policy = new AutoProtocol({ nowMs: () => clock.ms, random: () => 0.5, onChange: text => changes.push(text) });
  return { changes, clock, policy };
}
const lost = new PosternError('connection.lost', 'lost');

describe('automatic protocol', () => {
  it('begins with QUIC raced by HTTP/2 and stays with it', () => {
    const { policy, clock } = create();
    assert.deepEqual(policy.next(0), { first: 'quic', rival: { protocol: 'http2', afterMs: 1_500 } });
    policy.registered(0, 'quic');
    clock.ms = 3_600_000;
    policy.failed(0, 'quic', lost, true);
    assert.equal(policy.next(0).first, 'quic');
    assert.equal(policy.trial(), undefined);
  });

  it('turns to HTTP/2 for all connections when the first race is lost, and tries QUIC again after a minute', () => {
    const { changes, clock, policy } = create();
    policy.registered(0, 'http2');
    assert.deepEqual(policy.next(1), { first: 'http2' });
    assert.deepEqual(changes, ['Switching to fallback protocol http2']);
    clock.ms = firstTrialMs - 1;
    assert.equal(policy.trial(), undefined);
    clock.ms = firstTrialMs;
    assert.equal(policy.trial(), 'quic');
    assert.equal(policy.target(), undefined);
  });

  it('believes in QUIC after two good trials, and moves connections with a pause between', () => {
    const { clock, policy } = create();
    policy.registered(0, 'http2');
    clock.ms = firstTrialMs;
    policy.tried(undefined);
    assert.equal(policy.next(1).first, 'http2');
    assert.equal(policy.trial(), undefined);
    clock.ms += 15_000;
    assert.equal(policy.trial(), 'quic');
    policy.tried(undefined);
    assert.equal(policy.next(1).first, 'quic');
    assert.equal(policy.target(), 'quic');
    assert.equal(policy.target(), undefined);
    clock.ms += 10_000;
    assert.equal(policy.target(), 'quic');
  });

  it('tries ever more rarely while trials fail, but at least every hour or so', () => {
    const { clock, policy } = create();
    policy.registered(0, 'http2');
    const gaps: number[] = [];
    for (let round = 0; round < 10; round += 1) {
      const from = clock.ms;
      while (policy.trial() === undefined) clock.ms += 1_000;
      gaps.push(clock.ms - from);
      policy.tried(lost);
    }
    assert.deepEqual(gaps.slice(0, 4), [60_000, 120_000, 240_000, 480_000]);
    assert.equal(gaps.at(-1), 3_600_000);
  });

  it('does not flap on a path that lets handshakes through and loses connections', () => {
    const { changes, clock, policy } = create();
    let changesOfAnHour = 0;
    for (let second = 0; second < 24 * 3600; second += 1) {
      clock.ms = second * 1_000;
      const before = changes.length;
      if (policy.next(0).first === 'quic') {
        policy.registered(0, 'quic');
        policy.failed(0, 'quic', lost, true);
      }
      if (policy.trial() !== undefined) policy.tried(undefined);
      if (second < 3600) changesOfAnHour += changes.length - before;
    }
    assert.ok(changesOfAnHour <= 12, `${changesOfAnHour} changes in the first hour`);
    assert.ok(changes.length <= 70, `${changes.length} changes in a day`);
  });

  it('forgives one early loss, also after another long life', () => {
    const { clock, policy } = create();
    policy.registered(0, 'quic');
    policy.failed(0, 'quic', lost, true);
    assert.equal(policy.next(0).first, 'quic');
    policy.registered(0, 'quic');
    clock.ms += 120_000;
    policy.failed(0, 'quic', lost, true);
    policy.registered(0, 'quic');
    policy.failed(0, 'quic', lost, true);
    assert.equal(policy.next(0).first, 'quic');
    policy.registered(0, 'quic');
    policy.failed(0, 'quic', lost, true);
    assert.equal(policy.next(0).first, 'http2');
  });

  it('gives QUIC up for good where the build has none, saying so once', () => {
    const { changes, clock, policy } = create();
    for (const index of [0, 1]) policy.failed(index, 'quic', new PosternError('unavailable', 'no'), false);
    policy.registered(0, 'http2');
    clock.ms = 1e9;
    assert.equal(policy.trial(), undefined);
    assert.deepEqual(policy.next(0), { first: 'http2' });
    assert.deepEqual(changes, ['This build has no QUIC, using HTTP/2']);
  });
});
