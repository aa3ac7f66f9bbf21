import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FakeConnection } from '../../../test/support/fake-edge.ts';
import { settle, TestClock } from '../../../test/support/test-clock.ts';
import { isPosternError, PosternError } from '../../errors/error.ts';
import type { ConnectorConnection, DialOptions, Protocol } from '../../transport/transport.ts';
import { raceDial } from './race-dial.ts';

const options: DialOptions = { host: '192.0.2.1', port: 7844, ca: undefined, serverName: 'x', timeoutMs: 1 };

function race() {
  const clock = new TestClock();
  const abort = new AbortController();
  const dials = new Map<Protocol, PromiseWithResolvers<ConnectorConnection> & { readonly signal: AbortSignal }>();
  const failures: Protocol[] = [];
  const result = raceDial({
    first: 'quic',
    rival: { way: 'http2', afterMs: 1_500 },
    dial: (protocol: Protocol, signal) => {
      const pending = { ...Promise.withResolvers<ConnectorConnection>(), signal };
      dials.set(protocol, pending);
      return pending.promise;
    },
    onFailed: protocol => failures.push(protocol),
    signal: abort.signal,
    clock,
  });
  result.catch(() => undefined);
  const succeed = (protocol: Protocol): FakeConnection => {
    const connection = new FakeConnection(protocol, options, '192.0.2.2');
    dials.get(protocol)?.resolve(connection);
    return connection;
  };
  const fail = (protocol: Protocol): void => dials.get(protocol)?.reject(new PosternError('dial.timeout', protocol));
  return { abort, clock, dials, fail, failures, result, succeed };
}

describe('race of two dials', () => {
  it('never dials the rival when the first one is quick', async () => {
    const { clock, dials, result, succeed } = race();
    await clock.advance(1_000);
    const connection = succeed('quic');
    assert.equal(await result, connection);
    await clock.advance(10_000);
    assert.deepEqual([...dials.keys()], ['quic']);
    assert.equal(clock.pending, 0);
  });

  it('dials the rival at once when the first one fails', async () => {
    const { dials, fail, failures, result, succeed } = race();
    fail('quic');
    await settle();
    assert.deepEqual([...dials.keys()], ['quic', 'http2']);
    assert.deepEqual(failures, ['quic']);
    succeed('http2');
    assert.equal((await result).protocol, 'http2');
  });

  it('takes the rival when it is there first, and gives the first one up', async () => {
    const { clock, dials, failures, result, succeed } = race();
    await clock.advance(1_500);
    succeed('http2');
    assert.equal((await result).protocol, 'http2');
    assert.equal(dials.get('quic')?.signal.aborted, true);
    assert.deepEqual(failures, []);
    const tooLate = succeed('quic');
    await settle();
    assert.equal(tooLate.aborted?.code, 'connection.closed');
  });

  it('takes the first one when it comes late but still before the rival', async () => {
    const { clock, dials, result, succeed } = race();
    await clock.advance(2_000);
    succeed('quic');
    assert.equal((await result).protocol, 'quic');
    assert.equal(dials.get('http2')?.signal.aborted, true);
  });

  it('waits for the other when one fails late, and fails when both do', async () => {
    for (const order of [
      ['quic', 'http2'],
      ['http2', 'quic'],
    ] as const) {
      const { clock, fail, failures, result } = race();
      await clock.advance(2_000);
      fail(order[0]);
      await settle();
      assert.deepEqual(failures, [order[0]]);
      fail(order[1]);
      await assert.rejects(result, (error: unknown) => isPosternError(error, 'dial.timeout'));
    }
    const { clock, fail, result, succeed } = race();
    await clock.advance(2_000);
    fail('http2');
    succeed('quic');
    assert.equal((await result).protocol, 'quic');
  });

  it('does not take the one given up for a failure', async () => {
    const { clock, fail, failures, result, succeed } = race();
    await clock.advance(2_000);
    succeed('http2');
    await result;
    fail('quic');
    await settle();
    assert.deepEqual(failures, []);
  });

  it('passes an abort on to both and starts nothing after it', async () => {
    const { abort, clock, dials } = race();
    await clock.advance(2_000);
    abort.abort();
    assert.ok([...dials.values()].every(dial => dial.signal.aborted));
    const early = race();
    early.abort.abort();
    early.fail('quic');
    await assert.rejects(early.result);
    assert.deepEqual([...early.dials.keys()], ['quic']);
  });
});
