import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PosternError } from '../../errors/error.ts';
import { AutoProtocol, firstTrialMs } from './auto-protocol.ts';

function create() {
  const clock = { ms: 0 };
  const changes: string[] = [];
  const policy = new AutoProtocol({ nowMs: () => clock.ms, random: () => 0.5, onChange: text => changes.push(text) });
  return { changes, clock, policy };
}
/** What the connector does when a move is due. */
function move(policy: AutoProtocol) {
  const target = policy.target();
  if (target !== undefined) policy.moving();
  return target;
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

  it('turns to HTTP/2 for all connections when the first race is lost, and tries QUIC again soon', () => {
    const { changes, clock, policy } = create();
    policy.registered(0, 'http2');
    assert.deepEqual(policy.next(1), { first: 'http2' });
    assert.deepEqual(changes, ['Switching to fallback protocol http2']);
    clock.ms = firstTrialMs - 1;
    assert.equal(policy.trial(), undefined);
    clock.ms = firstTrialMs;
    assert.equal(policy.trial(), 'quic');
    assert.equal(move(policy), undefined);
  });

  it('dials HTTP/2 alone while the edge does not want QUIC, and learns nothing of it', () => {
    let wantsQuic = false;
    const clock = { ms: 0 };
    const policy = new AutoProtocol({
      nowMs: () => clock.ms,
      random: () => 0.5,
      wantsQuic: () => wantsQuic,
      onChange: text => assert.fail(text),
    });
    assert.deepEqual(policy.next(0), { first: 'http2' });
    policy.registered(0, 'http2');
    clock.ms = 24 * 3_600_000;
    assert.deepEqual([policy.trial(), policy.target()], [undefined, undefined]);
    wantsQuic = true;
    assert.equal(policy.next(0).first, 'quic');
  });

  it('stays on HTTP/2 and moves to it while something needs that, and learns nothing of it', () => {
    const { changes, clock, policy } = create();
    policy.registered(0, 'quic');
    let needed = true;
    policy.keepHttp2While(() => needed);
    assert.deepEqual(policy.next(0), { first: 'http2' });
    assert.deepEqual([move(policy), move(policy), policy.trial()], ['http2', undefined, undefined]);
    policy.tried(new PosternError('dial.timeout', 'no answer'));
    policy.registered(0, 'http2');
    clock.ms += 10_000;
    needed = false;
    assert.equal(policy.next(0).first, 'quic');
    assert.equal(move(policy), 'quic');
    assert.deepEqual(changes, []);
  });

  it('believes in QUIC after two good trials, and moves connections with a pause between', () => {
    const { clock, policy } = create();
    policy.registered(0, 'http2');
    clock.ms = firstTrialMs;
    policy.tried(undefined);
    assert.equal(policy.next(1).first, 'http2');
    assert.equal(policy.trial(), undefined);
    clock.ms += 10_000;
    assert.equal(policy.trial(), 'quic');
    policy.tried(undefined);
    assert.equal(policy.next(1).first, 'quic');
    assert.equal(move(policy), 'quic');
    assert.equal(move(policy), undefined);
    clock.ms += 10_000;
    assert.equal(move(policy), 'quic');
  });

  it('tries ever more rarely while trials fail, but at least every ten minutes or so', () => {
    const { clock, policy } = create();
    policy.registered(0, 'http2');
    const gaps: number[] = [];
    for (let round = 0; round < 6; round += 1) {
      const from = clock.ms;
      while (policy.trial() === undefined) clock.ms += 1_000;
      gaps.push(clock.ms - from);
      policy.tried(lost);
    }
    assert.deepEqual(gaps, [15_000, 60_000, 240_000, 600_000, 600_000, 600_000]);
  });

  it('does not flap on a path that lets handshakes through and loses connections', () => {
    const { changes, clock, policy } = create();
    let changesOfAnHour = 0;
    let since: number | undefined;
    for (let second = 0; second < 24 * 3600; second += 1) {
      clock.ms = second * 1_000;
      const before = changes.length;
      if (policy.next(0).first === 'quic' && since === undefined) {
        policy.registered(0, 'quic');
        since = second;
      }
      if (since !== undefined && second - since >= 12) {
        policy.failed(0, 'quic', lost, true);
        since = undefined;
      }
      if (policy.trial() !== undefined) policy.tried(undefined);
      if (second < 3600) changesOfAnHour += changes.length - before;
    }
    assert.ok(changesOfAnHour > 0 && changesOfAnHour <= 10, `${changesOfAnHour} changes in the first hour`);
    assert.ok(changes.length <= 60, `${changes.length} changes in a day`);
  });

  it('forgives one early loss, also after another long life', () => {
    const { clock, policy } = create();
    const live = (ms: number): void => {
      policy.registered(0, 'quic');
      clock.ms += ms;
      policy.failed(0, 'quic', lost, true);
    };
    live(20_000);
    assert.equal(policy.next(0).first, 'quic');
    live(120_000);
    live(20_000);
    assert.equal(policy.next(0).first, 'quic');
    live(20_000);
    assert.equal(policy.next(0).first, 'http2');
  });

  it('counts what happens to all connections at once as one event', () => {
    const { clock, policy } = create();
    for (let index = 0; index < 4; index += 1) policy.registered(index, 'quic');
    clock.ms = 20_000;
    for (let index = 0; index < 4; index += 1) policy.failed(index, 'quic', lost, true);
    for (let index = 0; index < 4; index += 1) policy.registered(index, 'http2');
    assert.equal(policy.next(0).first, 'quic');
    assert.equal(move(policy), 'quic');
  });

  it('gives QUIC up at once when a move fails while HTTP/2 is connected', () => {
    const { policy } = create();
    policy.registered(0, 'quic');
    policy.registered(0, 'http2');
    assert.equal(move(policy), 'quic');
    policy.tried(new PosternError('dial.timeout', 'no answer'));
    assert.deepEqual(policy.next(0), { first: 'http2' });
    assert.equal(move(policy), undefined);
  });

  it('does not blame QUIC for an edge that closed or came up anew, nor for a sleep of the machine', () => {
    const { clock, policy } = create();
    const reset = new PosternError('connection.lost', 'reset', { details: { kind: 'reset' } });
    for (const error of [new PosternError('connection.closed', 'closed'), reset]) {
      for (let round = 0; round < 3; round += 1) {
        policy.registered(0, 'quic');
        clock.ms += 20_000;
        policy.failed(0, 'quic', error, true);
      }
    }
    for (let round = 0; round < 3; round += 1) {
      policy.registered(0, 'quic');
      clock.ms += 20_000;
      policy.machineChanged();
      policy.failed(0, 'quic', lost, true);
    }
    assert.equal(policy.next(0).first, 'quic');
  });

  it('tries again at once when the machine is on another network', () => {
    const { clock, policy } = create();
    policy.registered(0, 'http2');
    for (let round = 0; round < 4; round += 1) policy.tried(lost);
    clock.ms = 5_000;
    assert.equal(policy.trial(), undefined);
    policy.machineChanged();
    assert.equal(policy.trial(), 'quic');
    policy.tried(undefined);
    policy.machineChanged();
    assert.equal(policy.trial(), undefined, 'the pause between two good trials stays');
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
