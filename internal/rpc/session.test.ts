import assert from 'node:assert/strict';
import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { afterEach, describe, it } from 'node:test';
import { RpcPlayer } from '../../test/support/rpc-play.ts';
import { readMessage } from '../../test/support/vectors.ts';
import { until } from '../../test/support/wait.ts';
import { isPosternError, PosternError } from '../errors/error.ts';
import { openFrame } from '../wire/capnp/framing.ts';
import {
  encodeBootstrap,
  encodeCall,
  encodeCapabilityResult,
  encodeException,
  encodeFinish,
  encodeRelease,
  encodeResults,
  encodeUnimplemented,
} from '../wire/rpc/rpc-message.ts';
import type { WriteResults } from './answers.ts';
import { RpcSession, type RpcSessionOptions } from './session.ts';

const method = { interfaceId: 5n, methodId: 2, name: 'double' };
const noParams: WriteResults = payload => payload.struct(0, 0, 0);
const onBootstrap = { kind: 'answer', questionId: 0 } as const;
const onImport = { kind: 'import', id: 0 } as const;

const players: RpcPlayer[] = [];
afterEach(() => {
  for (const player of players.splice(0)) player.destroy();
});
function start(options?: RpcSessionOptions): { player: RpcPlayer; session: RpcSession } {
  const player = new RpcPlayer();
  players.push(player);
  return { player, session: new RpcSession(player.stream, options) };
}
const call = (questionId: number, target: typeof onBootstrap | typeof onImport = onImport): Buffer =>
  encodeCall({ questionId, target, interfaceId: 5n, methodId: 2 }, noParams);
const codeIs =
  (code: string) =>
  (error: unknown): boolean => {
    assert.ok(isPosternError(error), String(error));
    assert.equal(error.code, code);
    return true;
  };

/** Doubles a number. */
const doubling: RpcSessionOptions = {
  service: (_interfaceId, _methodId, params) => {
    const doubled = params.uint32(0) * 2;
    return Promise.resolve(payload => payload.struct(0, 1, 0).uint32(0, doubled));
  },
};

describe('RPC session', () => {
  it('calls in both directions over one stream', async () => {
    const [left, right] = duplexPair();
    const one = new RpcSession(left, doubling);
    const two = new RpcSession(right, doubling);
    const double = (session: RpcSession, value: number): Promise<number> =>
      session.call(
        method,
        payload => payload.struct(0, 1, 0).uint32(0, value),
        results => results.uint32(0),
        5000,
      );
    const values = Array.from({ length: 60 }, (_, index) => index);
    const results = await Promise.all(values.flatMap(value => [double(one, value), double(two, value + 100)]));
    assert.deepEqual(
      results,
      values.flatMap(value => [value * 2, (value + 100) * 2]),
    );
    assert.equal(await double(one, 7), 14);
    one.close();
    assert.equal(await one.closed, undefined);
    assert.equal(await two.closed, undefined);
    await Promise.all([left, right].map(stream => stream.closed || once(stream, 'close')));
  });

  it('limits the calls that are unanswered', async () => {
    const { session } = start();
    const calls = Array.from({ length: 64 }, () => session.call(method, noParams, () => undefined, 5000));
    const rejected = calls.pop();
    assert.ok(rejected !== undefined);
    await assert.rejects(rejected, codeIs('unavailable'));
    session.close();
    for (const each of calls) await assert.rejects(each, codeIs('connection.closed'));
  });

  it('gives the id back when parameters cannot be encoded', async () => {
    const { player, session } = start();
    const broken = (): void => {
      throw new PosternError('protocol.malformed', 'wrong');
    };
    await assert.rejects(
      session.call(method, broken, () => undefined, 5000),
      codeIs('protocol.malformed'),
    );
    const good = session.call(method, noParams, () => 'done', 5000);
    await player.expect('bootstrap');
    assert.equal((await player.expect('call')).questionId, 1);
    player.send(encodeResults(1, noParams));
    assert.equal(await good, 'done');
  });

  it('echoes what it does not understand, and goes on', async () => {
    const { player } = start(doubling);
    const disembargo = readMessage('register_call');
    disembargo.writeUInt16LE(13, 16);
    player.send(disembargo);
    player.send(encodeBootstrap(0));
    assert.deepEqual(await player.next(), { kind: 'unimplemented', questionId: undefined });
    await player.expect('return');
  });

  it('takes the echo of its own call as a failure of that call', async () => {
    const { player, session } = start();
    const called = session.call(method, noParams, () => undefined, 5000);
    await player.expect('bootstrap');
    await player.expect('call');
    player.send(encodeUnimplemented(openFrame(call(1), 0)));
    await assert.rejects(called, codeIs('rpc.exception'));
  });

  it('fails later calls when the peer has nothing to call', async () => {
    const { player, session } = start();
    const first = session.call(method, noParams, () => undefined, 5000);
    player.send(encodeException(0, 'nothing here', 'failed'));
    player.send(encodeException(1, 'nothing here', 'failed'));
    await assert.rejects(first, /nothing here/);
    await assert.rejects(
      session.call(method, noParams, () => undefined, 5000),
      /bootstrap: nothing here/,
    );
    const { player: other, session: client } = start();
    const answered = client.call(method, noParams, () => undefined, 5000);
    other.send(encodeResults(0, noParams));
    other.send(encodeException(1, 'x', 'failed'));
    await assert.rejects(answered, codeIs('rpc.exception'));
    await assert.rejects(
      client.call(method, noParams, () => undefined, 5000),
      codeIs('protocol.malformed'),
    );
  });

  it('answers only calls of what it gave out', async () => {
    const refused = async (bytes: readonly Buffer[], returns: number): Promise<string> => {
      const { player } = start(doubling);
      for (const each of bytes) player.send(each);
      for (let index = 1; index < returns; index += 1) await player.expect('return');
      const { body } = await player.expect('return');
      return body.kind === 'exception' ? body.reason : body.kind;
    };
    assert.match(await refused([call(1)], 1), /no valid target/);
    assert.match(await refused([call(1, onBootstrap)], 1), /no valid target/);
    const boot = [encodeBootstrap(0), encodeFinish(0, false)];
    assert.equal(await refused([...boot, call(0)], 2), 'results');
    assert.match(await refused([...boot, encodeRelease(0, 9), call(0)], 2), /no valid target/);
    assert.match(await refused([encodeBootstrap(0), encodeFinish(0, true), call(1)], 2), /no valid target/);
    const { player } = start();
    player.send(encodeBootstrap(0));
    assert.equal((await player.expect('return')).body.kind, 'exception');
  });

  it('answers a call that was finished early with canceled, and its result with nothing', async () => {
    const { promise, resolve } = Promise.withResolvers<WriteResults>();
    const { player } = start({ service: () => promise });
    player.send(encodeBootstrap(0));
    await player.expect('return');
    player.send(call(1, onBootstrap));
    player.send(encodeFinish(1, true));
    assert.equal((await player.expect('return')).body.kind, 'canceled');
    resolve(noParams);
    player.send(encodeBootstrap(2));
    assert.equal((await player.expect('return')).answerId, 2);
  });

  it('stops reading while the peer does not read', async () => {
    const [own, stream] = duplexPair();
    const session = new RpcSession(stream, doubling);
    const disembargo = readMessage('register_call');
    disembargo.writeUInt16LE(13, 16);
    let sent = 0;
    while (own.write(disembargo)) sent += 1;
    // Whatever the peer adds stays on its own side once both buffers are full.
    for (let index = 0; index < 2000; index += 1) own.write(disembargo);
    await until('the session stops', () => stream.writableNeedDrain);
    await new Promise(resolve => setImmediate(resolve));
    assert.ok(sent < 2000);
    assert.ok(own.writableLength > 1000 * disembargo.length, 'what is not read stays with its sender');
    assert.ok(stream.writableLength < 256 * 1024);
    let echoed = 0;
    own.on('data', (chunk: Buffer) => {
      echoed += chunk.length;
    });
    const expected = (sent + 1 + 2000) * encodeUnimplemented(openFrame(disembargo, 0)).length;
    await until('all is echoed once the peer reads', () => echoed === expected);
    session.close();
    own.destroy();
  });

  it('turns a surprise inside into an end of the conversation, not of the process', async () => {
    const { player, session } = start({
      service: () => {
        throw new TypeError('surprise');
      },
      onServiceError: () => {
        throw new TypeError('and another');
      },
    });
    player.send(encodeBootstrap(0));
    player.send(call(1, onBootstrap));
    assert.equal((await session.closed)?.code, 'internal');
  });

  it('refuses a message beyond its limit', async () => {
    const { player, session } = start({ ...doubling, maxMessageBytes: 64 });
    player.send(encodeBootstrap(0));
    await player.expect('return');
    player.send(readMessage('register_call'));
    assert.equal((await session.closed)?.code, 'protocol.too-large');
    assert.equal((await player.expect('abort')).reason, 'protocol.too-large');
  });

  it('takes a capability only from the answer to a bootstrap', async () => {
    const { player, session } = start();
    const called = session.call(method, noParams, () => 'done', 5000);
    await player.expect('bootstrap');
    await player.expect('call');
    player.send(encodeCapabilityResult(0, 3));
    player.send(encodeCapabilityResult(1, 4));
    assert.deepEqual(await player.next(), { kind: 'finish', questionId: 0, releaseResultCaps: false });
    assert.deepEqual(await player.next(), { kind: 'finish', questionId: 1, releaseResultCaps: true });
    assert.equal(await called, 'done');
  });
});
