import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readMessage, readMessageNames } from '../../../test/support/vectors.ts';
import { isPosternError } from '../../errors/error.ts';
import { measureFrame, openFrame } from '../capnp/framing.ts';
import {
  configurationManager,
  decodeSessionEndParams,
  decodeSessionParams,
  decodeSessionResults,
  decodeUpdateParams,
  decodeUpdateResults,
  encodeSessionEndParams,
  encodeSessionParams,
  encodeSessionResults,
  encodeUpdateParams,
  encodeUpdateResults,
  sessionManager,
} from './connector-calls.ts';
import {
  decodeRegisterParams,
  decodeRegisterResults,
  encodeLocalConfigurationParams,
  encodeNothing,
  encodeRegisterParams,
  encodeRegisterResults,
  registrationServer,
} from './registration.ts';
import {
  decodeRpcMessage,
  encodeAbort,
  encodeBootstrap,
  encodeCall,
  encodeCanceled,
  encodeCapabilityResult,
  encodeException,
  encodeFinish,
  encodeRelease,
  encodeResults,
  encodeUnimplemented,
  type RpcMessage,
} from './rpc-message.ts';

const request = {
  accountTag: 'acct',
  tunnelSecret: Uint8Array.from({ length: 32 }, (_, index) => index),
  tunnelId: '11111111-2222-3333-4444-555555555555',
  connIndex: 0,
  clientId: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
  features: ['allow_remote_config', 'serialized_headers'],
  version: '2026.8.2',
  arch: 'linux_amd64',
  originLocalIp: Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 5]),
  replaceExisting: false,
  compressionQuality: 0,
  numPreviousAttempts: 1,
};
const sessionId = Uint8Array.from({ length: 16 }, (_, index) => index + 1);
const onBootstrap = { kind: 'answer', questionId: 0 } as const;
const onImport = { kind: 'import', id: 0 } as const;

function decode(bytes: Buffer): RpcMessage {
  assert.equal(measureFrame(bytes, 0, bytes.length, 1 << 20), bytes.length);
  return decodeRpcMessage(openFrame(bytes, 0));
}
function decodeAs<K extends RpcMessage['kind']>(bytes: Buffer, kind: K): Extract<RpcMessage, { kind: K }> {
  const message = decode(bytes);
  assert.equal(message.kind, kind);
  return message as Extract<RpcMessage, { kind: K }>;
}
function resultsOf(bytes: Buffer): Extract<Extract<RpcMessage, { kind: 'return' }>['body'], { kind: 'results' }> {
  const { body } = decodeAs(bytes, 'return');
  assert.equal(body.kind, 'results');
  assert.ok(body.kind === 'results');
  return body;
}

describe('RPC messages', () => {
  it('are written byte for byte as the vectors', () => {
    const { interfaceId } = registrationServer;
    const sessions = sessionManager.interfaceId;
    const written: Record<string, Buffer> = {
      bootstrap: encodeBootstrap(0),
      register_call: encodeCall({ questionId: 1, target: onBootstrap, interfaceId, methodId: 0 }, payload =>
        encodeRegisterParams(payload, request),
      ),
      return_bootstrap: encodeCapabilityResult(0, 0),
      finish0: encodeFinish(0, false),
      return_register_ok: encodeResults(1, payload =>
        encodeRegisterResults(payload, {
          details: { uuid: request.clientId, locationName: 'lhr01', tunnelIsRemotelyManaged: true },
        }),
      ),
      return_register_edupconn: encodeResults(1, payload =>
        encodeRegisterResults(payload, { error: { cause: 'EDUPCONN', retryAfterMs: 0, shouldRetry: false } }),
      ),
      return_exception: encodeException(1, 'Unauthorized: Invalid tunnel secret', 'failed'),
      register_udp_call: encodeCall(
        { questionId: 1, target: onBootstrap, interfaceId: sessions, methodId: 0 },
        payload =>
          encodeSessionParams(payload, {
            sessionId,
            dstIp: Uint8Array.of(1, 1, 1, 1),
            dstPort: 53,
            closeAfterIdleMs: 210_000,
            traceContext: '',
          }),
      ),
      register_udp_return_ok: encodeResults(1, payload =>
        encodeSessionResults(payload, { error: '', spans: new Uint8Array() }),
      ),
      unregister_udp_call: encodeCall(
        { questionId: 1, target: onBootstrap, interfaceId: sessions, methodId: 1 },
        payload => encodeSessionEndParams(payload, { sessionId, message: 'session idle for 3m30s' }),
      ),
      update_configuration_call: encodeCall(
        { questionId: 1, target: onBootstrap, interfaceId: configurationManager.interfaceId, methodId: 0 },
        payload =>
          encodeUpdateParams(payload, {
            version: 7,
            config: Buffer.from('{"ingress":[{"service":"http_status:404"}]}'),
          }),
      ),
      update_configuration_return_ok: encodeResults(1, payload =>
        encodeUpdateResults(payload, { latestAppliedVersion: 7, error: '' }),
      ),
      update_local_configuration_call: encodeCall(
        { questionId: 1, target: onImport, interfaceId, methodId: 2 },
        payload => encodeLocalConfigurationParams(payload, Buffer.from('{}')),
      ),
      return_empty: encodeResults(1, encodeNothing),
      finish1: encodeFinish(1, false),
    };
    for (const [name, bytes] of Object.entries(written))
      assert.equal(bytes.toString('hex'), readMessage(name).toString('hex'), name);
  });

  it('are read as the vectors mean them', () => {
    assert.deepEqual(decode(readMessage('bootstrap')), { kind: 'bootstrap', questionId: 0 });
    const register = decodeAs(readMessage('register_call'), 'call');
    assert.deepEqual(register.target, onBootstrap);
    assert.equal(register.interfaceId, registrationServer.interfaceId);
    assert.deepEqual(decodeRegisterParams(register.params), request);
    assert.deepEqual(resultsOf(readMessage('return_bootstrap')).capability, { senderHosted: 0 });
    assert.deepEqual(decode(readMessage('finish0')), { kind: 'finish', questionId: 0, releaseResultCaps: false });
    assert.deepEqual(decodeRegisterResults(resultsOf(readMessage('return_register_ok')).content), {
      details: { uuid: request.clientId, locationName: 'lhr01', tunnelIsRemotelyManaged: true },
    });
    assert.deepEqual(decodeRegisterResults(resultsOf(readMessage('return_register_edupconn')).content), {
      error: { cause: 'EDUPCONN', retryAfterMs: 0, shouldRetry: false },
    });
    assert.deepEqual(decodeAs(readMessage('return_exception'), 'return').body, {
      kind: 'exception',
      reason: 'Unauthorized: Invalid tunnel secret',
      type: 'failed',
    });
    const unregister = decodeAs(readMessage('unregister_call'), 'call');
    assert.deepEqual([unregister.target, unregister.methodId], [onImport, registrationServer.unregisterConnection]);
    assert.deepEqual(decodeSessionParams(decodeAs(readMessage('register_udp_call'), 'call').params), {
      sessionId,
      dstIp: Uint8Array.of(1, 1, 1, 1),
      dstPort: 53,
      closeAfterIdleMs: 210_000,
      traceContext: '',
    });
    assert.equal(decodeSessionResults(resultsOf(readMessage('register_udp_return_ok')).content).error, '');
    assert.deepEqual(decodeSessionEndParams(decodeAs(readMessage('unregister_udp_call'), 'call').params), {
      sessionId,
      message: 'session idle for 3m30s',
    });
    const update = decodeUpdateParams(decodeAs(readMessage('update_configuration_call'), 'call').params);
    assert.equal(update.version, 7);
    assert.equal(Buffer.from(update.config).toString(), '{"ingress":[{"service":"http_status:404"}]}');
    assert.deepEqual(decodeUpdateResults(resultsOf(readMessage('update_configuration_return_ok')).content), {
      latestAppliedVersion: 7,
      error: '',
    });
  });

  it('survive a round trip', () => {
    assert.deepEqual(decode(encodeAbort('rpc: shutdown')), { kind: 'abort', reason: 'rpc: shutdown' });
    assert.deepEqual(decode(encodeFinish(7, true)), { kind: 'finish', questionId: 7, releaseResultCaps: true });
    assert.deepEqual(decode(encodeRelease(3, 2)), { kind: 'release', id: 3, referenceCount: 2 });
    const canceled = decodeAs(encodeCanceled(5), 'return');
    assert.deepEqual([canceled.answerId, canceled.body.kind], [5, 'canceled']);
    const refused = encodeResults(1, payload =>
      encodeRegisterResults(payload, { error: { cause: 'later', retryAfterMs: 2500, shouldRetry: true } }),
    );
    assert.deepEqual(decodeRegisterResults(resultsOf(refused).content), {
      error: { cause: 'later', retryAfterMs: 2500, shouldRetry: true },
    });
  });

  it('echo what is not understood', () => {
    const original = readMessage('register_call');
    original.writeUInt16LE(13, 16);
    const echo = openFrame(encodeUnimplemented(openFrame(original, 0)), 0);
    const inner = echo.root().struct(0);
    assert.deepEqual([echo.root().uint16(0), inner.uint16(0)], [0, 13]);
    assert.deepEqual(decodeRegisterParams(inner.struct(0).struct(1).struct(0)), request);
    const answer = decode(encodeUnimplemented(openFrame(readMessage('register_call'), 0)));
    assert.deepEqual(answer, { kind: 'unimplemented', questionId: 1 });
  });

  it('a UUID of another length is refused', () => {
    const short = encodeCall({ questionId: 1, target: onBootstrap, interfaceId: 1n, methodId: 0 }, payload => {
      payload.struct(0, 1, 3).data(1, new Uint8Array(15));
    });
    const { params } = decodeAs(short, 'call');
    assert.throws(
      () => decodeRegisterParams(params),
      error => isPosternError(error, 'protocol.malformed') && error.message.includes('not 15'),
    );
  });

  it('an empty result is a refusal with an empty cause', () => {
    const { content } = resultsOf(encodeResults(1, encodeNothing));
    assert.deepEqual(decodeRegisterResults(content), { error: { cause: '', retryAfterMs: 0, shouldRetry: false } });
  });

  it('never do more than throw our errors when cut or flipped', () => {
    for (const name of readMessageNames().filter(each => !each.startsWith('quic_'))) {
      const message = readMessage(name);
      for (let length = 16; length < message.length; length += 8) {
        const cut = Buffer.from(message.subarray(0, length));
        cut.writeUInt32LE((length - 8) / 8, 4);
        tryAll(cut);
      }
      for (let bit = 64; bit < message.length * 8; bit += 1) {
        const flipped = Buffer.from(message);
        flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        tryAll(flipped);
      }
    }
  });
});

/** Decodes a message as everything it could be; only our errors may come out. */
function tryAll(bytes: Buffer): void {
  const attempts = [decodeRegisterParams, decodeSessionParams, decodeSessionEndParams, decodeUpdateParams];
  const results = [decodeRegisterResults, decodeSessionResults, decodeUpdateResults];
  for (const read of [...attempts, ...results]) {
    try {
      const message = decode(bytes);
      if (message.kind === 'call') read(message.params);
      if (message.kind === 'return' && message.body.kind === 'results') read(message.body.content);
      if (message.kind === 'unknown') encodeUnimplemented(openFrame(bytes, 0));
    } catch (error) {
      if (!isPosternError(error)) throw error;
    }
  }
}
