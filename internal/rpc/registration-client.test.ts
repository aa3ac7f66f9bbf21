import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { RpcPlayer, splitMessages } from '../../test/support/rpc-play.ts';
import { readVector, sentBy, type VectorFile } from '../../test/support/vectors.ts';
import { isPosternError } from '../errors/error.ts';
import {
  decodeRegisterParams,
  encodeNothing,
  encodeRegisterResults,
  type RegistrationRequest,
  type RegistrationResult,
} from '../wire/rpc/registration.ts';
import { encodeAbort, encodeCapabilityResult, encodeException, encodeResults } from '../wire/rpc/rpc-message.ts';
import { RegistrationClient } from './registration-client.ts';

const request: RegistrationRequest = {
  accountTag: 'acct',
  tunnelSecret: Buffer.alloc(32, 7),
  tunnelId: '11111111-2222-3333-4444-555555555555',
  connIndex: 2,
  clientId: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
  features: ['allow_remote_config'],
  version: '1.0',
  arch: 'linux_amd64',
  originLocalIp: new Uint8Array(),
  replaceExisting: false,
  compressionQuality: 0,
  numPreviousAttempts: 3,
};
const players: RpcPlayer[] = [];
afterEach(() => {
  for (const player of players.splice(0)) player.destroy();
});

function start(timeoutMs = 5000): { player: RpcPlayer; client: RegistrationClient } {
  const player = new RpcPlayer();
  players.push(player);
  return { player, client: new RegistrationClient(player.stream, { timeoutMs }) };
}

/** Registers against an edge that answers with `result`. */
async function register(result: RegistrationResult | Buffer): Promise<unknown> {
  const { player, client } = start();
  const registered = client.registerConnection(request);
  await player.expect('bootstrap');
  await player.expect('call');
  player.send(Buffer.isBuffer(result) ? result : encodeResults(1, payload => encodeRegisterResults(payload, result)));
  return registered;
}

const codeIs =
  (code: string, details?: object) =>
  (error: unknown): boolean => {
    assert.ok(isPosternError(error), String(error));
    assert.equal(error.code, code);
    if (details !== undefined) assert.deepEqual(error.details, details);
    return true;
  };

const recordings: readonly [VectorFile, string][] = [
  ['http2', 'h2-control-stream'],
  ['quic-datagram-v2', 'quic-control-stream-1'],
  ['quic-datagram-v3', 'quic-control-stream-1'],
];

describe('registration client', () => {
  for (const [file, name] of recordings) {
    it(`says what the recorded connector of ${file} said, to the recorded edge`, async () => {
      const entry = readVector(file, name);
      const recorded = splitMessages(sentBy(entry, 'connector'));
      const edge = entry.parts.filter(part => part.from === 'edge').map(part => part.bytes);
      const call = recorded[1];
      assert.ok(call?.kind === 'call');
      const asked = decodeRegisterParams(call.params);
      const { player, client } = start();

      const registered = client.registerConnection(asked);
      assert.deepEqual(await player.next(), recorded[0]);
      const ours = await player.expect('call');
      assert.deepEqual([ours.questionId, ours.target, ours.methodId], [call.questionId, call.target, call.methodId]);
      assert.deepEqual(decodeRegisterParams(ours.params), asked);
      player.send(edge[0] ?? Buffer.alloc(0));
      const details = await registered;
      assert.match(details.uuid, /^[0-9a-f-]{36}$/);
      assert.equal(details.tunnelIsRemotelyManaged, false);

      const configured = client.updateLocalConfiguration(Buffer.from('{}'));
      for (const expected of recorded.slice(2, 4)) assert.deepEqual(await player.next(), expected);
      const configure = await player.expect('call');
      assert.deepEqual([configure.questionId, configure.target], [1, { kind: 'import', id: 0 }]);
      player.send(edge[1] ?? Buffer.alloc(0));
      await configured;

      const unregistered = client.unregisterConnection(1000);
      await player.expect('finish');
      assert.equal((await player.expect('call')).questionId, 1);
      player.send(edge[2] ?? Buffer.alloc(0));
      await unregistered;
      client.close();
      assert.deepEqual(await player.next(), { kind: 'finish', questionId: 1, releaseResultCaps: false });
      assert.deepEqual(await player.next(), { kind: 'release', id: 0, referenceCount: 1 });
      assert.deepEqual(await player.next(), { kind: 'abort', reason: 'rpc: shutdown' });
      await player.expectEnd();
      await client.closed;
    });
  }

  it('takes the recorded refusal', async () => {
    const entry = readVector('quic-registration-error', 'quic-control-stream-1');
    const { player, client } = start();
    const registered = client.registerConnection(request);
    await player.expect('bootstrap');
    for (const byte of sentBy(entry, 'edge')) player.send(Uint8Array.of(byte));
    await assert.rejects(registered, codeIs('registration.refused', { retryable: true, retryAfterMs: 2000 }));
  });

  it('tells refusals apart', async () => {
    const error = (cause: string, shouldRetry = false): RegistrationResult => ({
      error: { cause, retryAfterMs: 0, shouldRetry },
    });
    await assert.rejects(register(error('EDUPCONN')), codeIs('registration.duplicate'));
    await assert.rejects(register(error('EDUPCONN!')), codeIs('registration.refused'));
    await assert.rejects(register(error('Unauthorized: Invalid tunnel secret')), codeIs('credentials.refused'));
    await assert.rejects(
      register(error('busy', true)),
      codeIs('registration.refused', { retryable: true, retryAfterMs: 0 }),
    );
    await assert.rejects(register(encodeException(1, 'Unauthorized', 'failed')), codeIs('credentials.refused'));
    await assert.rejects(
      register(encodeException(1, 'no', 'failed')),
      codeIs('registration.refused', { retryable: false, retryAfterMs: 0 }),
    );
    await assert.rejects(register(encodeResults(1, encodeNothing)), codeIs('registration.refused'));
  });

  it('refuses a connection id that is not 16 bytes', async () => {
    const bad = encodeResults(1, payload => {
      payload.struct(0, 0, 1).struct(0, 1, 1).uint16(0, 1).struct(0, 1, 2).data(0, Buffer.alloc(15));
    });
    await assert.rejects(register(bad), codeIs('protocol.malformed'));
  });

  it('says which way a conversation failed', async () => {
    await assert.rejects(register(encodeAbort('no more')), codeIs('rpc.aborted'));
    await assert.rejects(register(encodeAbort('rpc: shutdown')), codeIs('connection.closed'));
    await assert.rejects(register(Buffer.from('00000000ffffff7f', 'hex')), codeIs('protocol.too-large'));
    {
      const { player, client } = start();
      const registered = client.registerConnection(request);
      player.end();
      await assert.rejects(registered, codeIs('connection.lost'));
      await client.closed;
    }
    {
      const { player, client } = start();
      const registered = client.registerConnection(request);
      player.stream.destroy(new Error('reset'));
      await assert.rejects(registered, codeIs('connection.lost'));
    }
    {
      const { client } = start();
      const registered = client.registerConnection(request);
      client.close();
      await assert.rejects(registered, codeIs('connection.closed'));
      await assert.rejects(client.unregisterConnection(10), codeIs('connection.closed'));
    }
  });

  it('gives up at its deadline, finishes the question, and reuses its id only after the late answer', async () => {
    const { player, client } = start(20);
    await assert.rejects(client.registerConnection(request), codeIs('rpc.timeout'));
    await player.expect('bootstrap');
    await player.expect('call');
    assert.deepEqual(await player.next(), { kind: 'finish', questionId: 1, releaseResultCaps: true });
    const second = client.unregisterConnection(5000);
    assert.equal((await player.expect('call')).questionId, 2);
    player.send(encodeResults(1, encodeNothing));
    player.send(encodeCapabilityResult(0, 4));
    player.send(encodeResults(2, encodeNothing));
    await second;
    await player.expect('finish');
    await player.expect('finish');
    const third = client.unregisterConnection(5000);
    const call = await player.expect('call');
    assert.deepEqual([call.questionId, call.target], [2, { kind: 'import', id: 4 }]);
    player.send(encodeResults(2, encodeNothing));
    await third;
  });
});
