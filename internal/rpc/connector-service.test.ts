import assert from 'node:assert/strict';
import { duplexPair } from 'node:stream';
import { afterEach, describe, it } from 'node:test';
import { RpcPlayer, splitMessages } from '../../test/support/rpc-play.ts';
import { type RecordedEntry, readVector, sentBy } from '../../test/support/vectors.ts';
import { isPosternError } from '../errors/error.ts';
import {
  type ConfigurationUpdate,
  decodeSessionParams,
  decodeSessionResults,
  decodeUpdateParams,
  decodeUpdateResults,
  type UdpSessionEnd,
  type UdpSessionRequest,
} from '../wire/rpc/connector-calls.ts';
import { ConnectorClient } from './connector-client.ts';
import { type ConnectorService, serveConnector } from './connector-service.ts';
import { reportSessionEnd, serveSessionEvents } from './session-events.ts';

/** Bytes of the signature in front of a recorded RPC stream; transports take it off. */
const signature = 6;
const players: RpcPlayer[] = [];
afterEach(() => {
  for (const player of players.splice(0)) player.destroy();
});

const record = (name: string): RecordedEntry => readVector('quic-datagram-v2', name);
const edgeBytes = (name: string): Buffer => sentBy(record(name), 'edge').subarray(signature);
function newPlayer(): RpcPlayer {
  const player = new RpcPlayer();
  players.push(player);
  return player;
}

/** A connector that accepts everything and notes it. */
function accepting(): {
  handler: ConnectorService;
  updates: ConfigurationUpdate[];
  sessions: UdpSessionRequest[];
  ends: UdpSessionEnd[];
} {
  const updates: ConfigurationUpdate[] = [];
  const sessions: UdpSessionRequest[] = [];
  const ends: UdpSessionEnd[] = [];
  const handler: ConnectorService = {
    updateConfiguration: update => {
      updates.push(update);
      return Promise.resolve({ latestAppliedVersion: update.version, error: '' });
    },
    registerUdpSession: request => {
      sessions.push(request);
      return Promise.resolve('');
    },
    unregisterUdpSession: end => {
      ends.push(end);
      return Promise.resolve();
    },
  };
  return { handler, updates, sessions, ends };
}

describe('connector service', () => {
  it('serves the recorded configuration push', async () => {
    const player = newPlayer();
    const { handler, updates } = accepting();
    const closed = serveConnector(player.stream, handler);
    const bytes = edgeBytes('quic-rpc-update-configuration');
    player.send(bytes.subarray(0, 48 + 480));
    const bootstrap = await player.expect('return');
    assert.ok(bootstrap.body.kind === 'results');
    assert.deepEqual(bootstrap.body.capability, { senderHosted: 0 });
    const { body } = await player.expect('return');
    assert.ok(body.kind === 'results');
    assert.deepEqual(decodeUpdateResults(body.content), { latestAppliedVersion: 7, error: '' });
    player.send(bytes.subarray(48 + 480));
    assert.equal(await closed, undefined);
    await player.expectEnd();
    assert.equal(updates[0]?.version, 7);
    assert.ok('ingress' in (JSON.parse(Buffer.from(updates[0]?.config ?? []).toString()) as object));
  });

  it('serves the recorded UDP session, byte by byte', async () => {
    const player = newPlayer();
    const { handler, sessions, ends } = accepting();
    const closed = serveConnector(player.stream, handler);
    for (const byte of edgeBytes('quic-rpc-register-udp-session')) player.send(Uint8Array.of(byte));
    assert.equal(await closed, undefined);
    assert.equal(sessions.length, 1);
    assert.equal(ends.length, 1);
    assert.deepEqual(ends[0]?.sessionId, sessions[0]?.sessionId);
    assert.equal(Buffer.from(ends[0]?.sessionId ?? []).toString('hex'), '0102030405064708890a0b0c0d0e0f10');
  });

  it('ends after its time although a call is running', async () => {
    const player = newPlayer();
    const { promise: stuck, resolve } = Promise.withResolvers<string>();
    const { handler } = accepting();
    const closed = serveConnector(player.stream, { ...handler, registerUdpSession: () => stuck }, { timeoutMs: 20 });
    player.send(edgeBytes('quic-rpc-register-udp-session').subarray(0, 48 + 208));
    await player.expect('return');
    assert.equal((await player.expect('abort')).reason, 'rpc: shutdown');
    assert.equal(await closed, undefined);
    resolve('');
    await player.expectEnd();
  });

  it('does not tell the edge what failed inside', async () => {
    const player = newPlayer();
    const errors: unknown[] = [];
    const failure = new Error('secret detail');
    const { handler } = accepting();
    const closed = serveConnector(
      player.stream,
      { ...handler, updateConfiguration: () => Promise.reject(failure) },
      { onError: error => errors.push(error) },
    );
    player.send(edgeBytes('quic-rpc-update-configuration').subarray(0, 48 + 480));
    await player.expect('return');
    assert.deepEqual((await player.expect('return')).body, {
      kind: 'exception',
      reason: 'the call failed',
      type: 'failed',
    });
    assert.deepEqual(errors, [failure]);
    player.end();
    assert.equal((await closed)?.code, 'connection.lost');
  });
});

describe('connector client', () => {
  it('says what the recorded edge said, to the recorded connector', async () => {
    for (const name of ['quic-rpc-update-configuration', 'quic-rpc-update-configuration-bad']) {
      const entry = record(name);
      const recorded = splitMessages(edgeBytes(name));
      const answers = entry.parts.filter(part => part.from === 'connector').map(part => part.bytes);
      const call = recorded[1];
      assert.ok(call?.kind === 'call');
      const update = decodeUpdateParams(call.params);
      const player = newPlayer();
      const client = new ConnectorClient(player.stream, { timeoutMs: 5000 });
      const updated = client.updateConfiguration(update);
      assert.deepEqual(await player.next(), recorded[0]);
      const ours = await player.expect('call');
      assert.deepEqual([ours.interfaceId, ours.methodId, ours.target], [call.interfaceId, call.methodId, call.target]);
      assert.deepEqual(decodeUpdateParams(ours.params), update);
      for (const answer of answers) player.send(answer);
      const result = await updated;
      assert.equal(result.latestAppliedVersion, 7);
      assert.equal(result.error === '', name === 'quic-rpc-update-configuration');
      if (result.error !== '') assert.equal(result.error, entry.meta.respErr);
      client.close();
      for (const expected of recorded.slice(2)) assert.deepEqual(await player.next(), expected);
      await player.expectEnd();
    }
  });

  it('says what the recorded edge said of UDP sessions', async () => {
    const name = 'quic-rpc-register-udp-session';
    const recorded = splitMessages(edgeBytes(name));
    const answers = record(name)
      .parts.filter(part => part.from === 'connector')
      .map(part => part.bytes);
    const call = recorded[1];
    assert.ok(call?.kind === 'call');
    const request = decodeSessionParams(call.params);
    const player = newPlayer();
    const client = new ConnectorClient(player.stream, { timeoutMs: 5000 });
    const registered = client.registerUdpSession(request);
    await player.expect('bootstrap');
    assert.deepEqual(decodeSessionParams((await player.expect('call')).params), request);
    player.send(answers[0] ?? Buffer.alloc(0));
    assert.deepEqual(await registered, { error: '', spans: new Uint8Array() });
    const unregistered = client.unregisterUdpSession({ sessionId: request.sessionId, message: 'done' });
    await player.expect('finish');
    await player.expect('finish');
    assert.deepEqual((await player.expect('call')).target, { kind: 'import', id: 0 });
    player.send(answers[1] ?? Buffer.alloc(0));
    await unregistered;
    client.close();
  });

  it('works with our own service', async () => {
    const [edge, connector] = duplexPair();
    const { handler, sessions } = accepting();
    const refusing = { ...handler, registerUdpSession: () => Promise.resolve('too many active flows') };
    const closed = serveConnector(connector, refusing);
    const client = new ConnectorClient(edge, { timeoutMs: 5000 });
    const request: UdpSessionRequest = {
      sessionId: Buffer.alloc(16, 9),
      dstIp: Uint8Array.of(10, 0, 0, 1),
      dstPort: 53,
      closeAfterIdleMs: 1500,
      traceContext: 'a:b:c:1',
    };
    const calls = await Promise.all([client.registerUdpSession(request), client.registerUdpSession(request)]);
    assert.deepEqual(
      calls.map(each => each.error),
      ['too many active flows', 'too many active flows'],
    );
    assert.equal(sessions.length, 0);
    client.close();
    await client.closed;
    assert.equal(await closed, undefined);
  });

  it('refuses parameters that are malformed, and leaves an address of odd length to the service', async () => {
    const [edge, connector] = duplexPair();
    const { handler, sessions } = accepting();
    const closed = serveConnector(connector, handler);
    const client = new ConnectorClient(edge, { timeoutMs: 5000 });
    const request: UdpSessionRequest = {
      sessionId: Buffer.alloc(16, 9),
      dstIp: Uint8Array.of(10, 0, 0),
      dstPort: 53,
      closeAfterIdleMs: 0,
      traceContext: '',
    };
    for (const malformed of [{ dstIp: new Uint8Array() }, { sessionId: Buffer.alloc(15, 9) }]) {
      await assert.rejects(
        client.registerUdpSession({ ...request, ...malformed }),
        error => isPosternError(error, 'rpc.exception') && error.message.includes('malformed'),
      );
    }
    assert.equal(sessions.length, 0);
    await client.registerUdpSession(request);
    assert.deepEqual(sessions[0]?.dstIp, request.dstIp);
    client.close();
    await closed;
  });
});

describe('session events', () => {
  it('tell the edge which session ended', async () => {
    const [edge, connector] = duplexPair();
    const seen: UdpSessionEnd[] = [];
    const served = serveSessionEvents(edge, end => seen.push(end));
    const end = { sessionId: Uint8Array.from(Buffer.alloc(16, 3)), message: 'session idle for 3m30s' };
    await reportSessionEnd(connector, end, 5000);
    assert.deepEqual(seen, [end]);
    assert.equal(await served, undefined);
  });
});

describe('empty results', () => {
  it('read as defaults', () => {
    const messages = splitMessages(sentBy(record('quic-rpc-register-udp-session'), 'connector'));
    const last = messages.at(-1);
    assert.ok(last?.kind === 'return' && last.body.kind === 'results');
    assert.deepEqual(decodeSessionResults(last.body.content), { error: '', spans: new Uint8Array() });
  });
});
