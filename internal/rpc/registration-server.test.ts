import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { RpcPlayer, splitMessages } from '../../test/support/rpc-play.ts';
import { readVector, sentBy, type VectorFile } from '../../test/support/vectors.ts';
import { PosternError } from '../errors/error.ts';
import {
  decodeRegisterParams,
  decodeRegisterResults,
  type RegistrationRequest,
  type RegistrationResult,
} from '../wire/rpc/registration.ts';
import { encodeBootstrap, encodeCall, encodeException, encodeFinish } from '../wire/rpc/rpc-message.ts';
import { RegistrationClient } from './registration-client.ts';
import { type RegistrationServerOptions, type RegistrationSession, serveRegistration } from './registration-server.ts';

const details = {
  uuid: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
  locationName: 'lab01',
  tunnelIsRemotelyManaged: false,
};
const players: RpcPlayer[] = [];
afterEach(() => {
  for (const player of players.splice(0)) player.destroy();
});

/** A served stream whose handler notes what it was asked. */
function serve(
  register: (request: RegistrationRequest) => Promise<RegistrationResult>,
  options?: RegistrationServerOptions,
): {
  player: RpcPlayer;
  session: ReturnType<typeof serveRegistration>;
  seen: string[];
  requests: RegistrationRequest[];
} {
  const player = new RpcPlayer();
  players.push(player);
  const seen: string[] = [];
  const requests: RegistrationRequest[] = [];
  const session = serveRegistration(
    player.stream,
    {
      register: request => {
        requests.push(request);
        return register(request);
      },
      updateLocalConfiguration: config => {
        seen.push(Buffer.from(config).toString());
        return Promise.resolve();
      },
      unregister: () => {
        seen.push('unregister');
        return Promise.resolve();
      },
    },
    options,
  );
  return { player, session, seen, requests };
}

const recordings: readonly [VectorFile, string][] = [
  ['http2', 'h2-control-stream'],
  ['quic-datagram-v2', 'quic-control-stream-1'],
  ['quic-datagram-v3', 'quic-control-stream-1'],
];

describe('registration server', () => {
  for (const [file, name] of recordings) {
    it(`serves the recorded connector of ${file}`, async () => {
      const entry = readVector(file, name);
      const { player, session, seen, requests } = serve(() => Promise.resolve({ details }));
      for (const part of entry.parts) {
        if (part.from === 'connector') {
          player.send(part.bytes);
          continue;
        }
        for (const recorded of splitMessages(part.bytes)) {
          assert.ok(recorded.kind === 'return');
          const { answerId, body } = await player.expect('return');
          assert.deepEqual([answerId, body.kind], [recorded.answerId, recorded.body.kind]);
          if (body.kind === 'results' && recorded.body.kind === 'results')
            assert.deepEqual(body.capability, recorded.body.capability);
        }
      }
      player.end();
      assert.equal(await session.closed, undefined);
      await player.expectEnd();
      const [request] = requests;
      assert.equal(requests.length, 1);
      assert.equal(request?.accountTag, 'acct0000000000000000000000000000');
      assert.equal(request?.tunnelId, '11111111-2222-3333-4444-555555555555');
      assert.match(Buffer.from(request?.tunnelSecret ?? []).toString(), /^(secret)+se$/);
      assert.equal(request?.arch, 'linux_amd64');
      assert.equal(request?.connIndex, 0);
      assert.equal(request?.features.includes('support_datagram_v3_2'), file === 'quic-datagram-v3');
      assert.equal(seen.length, 2);
      assert.deepEqual(Object.keys(JSON.parse(seen[0] ?? '') as object).sort(), [
        '__configuration_flags',
        'ingress',
        'warp-routing',
      ]);
      assert.equal(seen[1], 'unregister');
    });

    it(`serves the recorded connector of ${file} byte by byte`, async () => {
      const { player, session, seen } = serve(() => Promise.resolve({ details }));
      for (const byte of sentBy(readVector(file, name), 'connector')) player.send(Uint8Array.of(byte));
      assert.equal(await session.closed, undefined);
      assert.equal(seen.length, 0, 'all was sent before the registration was answered, so the rest was refused');
    });
  }

  it('refuses as the recorded edge did', async () => {
    const entry = readVector('quic-registration-error', 'quic-control-stream-1');
    const recorded = splitMessages(sentBy(entry, 'edge'))[1];
    assert.ok(recorded?.kind === 'return' && recorded.body.kind === 'results');
    const expected = decodeRegisterResults(recorded.body.content);
    assert.ok('error' in expected);
    assert.deepEqual([expected.error.retryAfterMs, expected.error.shouldRetry], [2000, true]);

    const { player, session } = serve(() => Promise.resolve(expected));
    player.send(sentBy(entry, 'connector'));
    await player.expect('return');
    const { body } = await player.expect('return');
    assert.ok(body.kind === 'results' || body.kind === 'canceled');
    if (body.kind === 'results') assert.deepEqual(decodeRegisterResults(body.content), expected);
    assert.equal(await session.closed, undefined);
  });

  it('tells the connector of wrong credentials and of nothing else', async () => {
    const errors: unknown[] = [];
    for (const [thrown, reason] of [
      [new PosternError('credentials.refused', 'Secret of tunnel 7 does not match'), 'Unauthorized'],
      [new PosternError('store.failed', 'Database /var/lib/x is locked'), 'the call failed'],
      [new Error('Cannot read x of undefined'), 'the call failed'],
    ] as const) {
      const { player } = serve(() => Promise.reject(thrown), { onError: error => errors.push(error) });
      player.send(sentBy(readVector('quic-datagram-v2', 'quic-control-stream-1'), 'connector').subarray(0, 592));
      await player.expect('return');
      const { body } = await player.expect('return');
      assert.deepEqual(body, { kind: 'exception', reason, type: 'failed' });
      assert.equal(errors.pop(), thrown);
    }
  });

  it('registers once, and serves nothing before', async () => {
    const { player, seen } = serve(() => Promise.resolve({ details }));
    const recorded = sentBy(readVector('quic-datagram-v2', 'quic-control-stream-1'), 'connector');
    const bootstrap = recorded.subarray(0, 48);
    const register = Buffer.from(recorded.subarray(48, 592));
    player.send(bootstrap);
    await player.expect('return');
    const unregister = { target: { kind: 'import', id: 0 }, interfaceId: 0xf71695ec7fe85497n, methodId: 1 } as const;
    player.send(encodeCall({ ...unregister, questionId: 9 }, payload => payload.struct(0, 0, 0)));
    assert.equal((await player.expect('return')).body.kind, 'exception');
    player.send(register);
    assert.equal((await player.expect('return')).body.kind, 'results');
    player.send(encodeFinish(1, false));
    player.send(register);
    const again = await player.expect('return');
    assert.ok(again.body.kind === 'exception');
    assert.match(again.body.reason, /registered already/);
    assert.deepEqual(seen, []);
  });

  it('answers unknown and deprecated methods with unimplemented', async () => {
    const { player } = serve(() => Promise.resolve({ details }));
    player.send(encodeBootstrap(0));
    await player.expect('return');
    for (const [interfaceId, methodId] of [
      [0xea58385c65416035n, 0],
      [0xf71695ec7fe85497n, 3],
    ] as const) {
      const target = { kind: 'answer', questionId: 0 } as const;
      player.send(encodeCall({ questionId: 1, target, interfaceId, methodId }, payload => payload.struct(0, 0, 0)));
      const { body } = await player.expect('return');
      assert.ok(body.kind === 'exception');
      assert.equal(body.type, 'unimplemented');
      player.send(encodeFinish(1, true));
    }
  });

  it('ends a conversation in which nothing registers', async () => {
    const { player, session } = serve(() => Promise.resolve({ details }), { registerTimeoutMs: 20 });
    assert.equal(await session.closed, undefined);
    assert.equal((await player.expect('abort')).reason, 'rpc: shutdown');
    await player.expectEnd();
  });

  it('ends a conversation that breaks the rules', async () => {
    const cases: [string, Buffer, string][] = [
      ['a huge frame', Buffer.from('00000000ffffff7f', 'hex'), 'protocol.too-large'],
      ['600 segments', Buffer.from('5702000001000000', 'hex'), 'protocol.too-large'],
      ['no root', Buffer.from('0000000000000000', 'hex'), 'protocol.malformed'],
      ['an answer to nothing', encodeException(3, 'x', 'failed'), 'protocol.malformed'],
      ['a finish of nothing', encodeFinish(3, true), 'protocol.malformed'],
      ['a question twice', Buffer.concat([encodeBootstrap(0), encodeBootstrap(0)]), 'protocol.malformed'],
      [
        'too many questions',
        Buffer.concat(Array.from({ length: 65 }, (_, index) => encodeBootstrap(index))),
        'protocol.too-large',
      ],
    ];
    for (const [name, bytes, code] of cases) {
      const { player, session } = serve(() => Promise.resolve({ details }));
      player.send(bytes);
      assert.equal((await session.closed)?.code, code, name);
    }
  });

  it('ends wherever the recorded connector is cut off', async () => {
    const recorded = sentBy(readVector('quic-datagram-v2', 'quic-control-stream-1'), 'connector');
    for (let length = 0; length <= recorded.length; length += 1) {
      const { player, session } = serve(() => Promise.resolve({ details }));
      player.send(recorded.subarray(0, length));
      player.end();
      const code = (await session.closed)?.code;
      assert.equal(code, length === recorded.length ? undefined : 'connection.lost', `cut at ${length}`);
      player.destroy();
    }
  });

  it('works with our own client over a real socket, and closes it', async () => {
    const { promise: served, resolve } = Promise.withResolvers<[Socket, RegistrationSession]>();
    const order: string[] = [];
    const server = createServer(socket => {
      const session = serveRegistration(socket, {
        register: request => Promise.resolve({ details: { ...details, locationName: request.arch } }),
        updateLocalConfiguration: config => {
          order.push(Buffer.from(config).toString());
          return Promise.resolve();
        },
        unregister: () => {
          order.push('unregister');
          return Promise.resolve();
        },
      });
      resolve([socket, session]);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const socket = connect(port, '127.0.0.1');
    const client = new RegistrationClient(socket, { timeoutMs: 5000 });
    const recorded = splitMessages(sentBy(readVector('http2', 'h2-control-stream'), 'connector'))[1];
    assert.ok(recorded?.kind === 'call');
    const registered = await client.registerConnection(decodeRegisterParams(recorded.params));
    assert.deepEqual(registered, { ...details, locationName: 'linux_amd64' });
    const configuration = '{"ingress":[]}'.padEnd(300_000);
    await client.updateLocalConfiguration(Buffer.from(configuration));
    await client.unregisterConnection(5000);
    client.close();
    const [edgeSocket, session] = await served;
    await client.closed;
    assert.equal(await session.closed, undefined);
    for (const each of [socket, edgeSocket]) if (!each.closed) await once(each, 'close');
    assert.deepEqual(order, [configuration, 'unregister']);
    server.close();
    await once(server, 'close');
  });
});
