// Framing, RPC messages, and whole RPC conversations at both ends.

import assert from 'node:assert/strict';
import { duplexPair } from 'node:stream';
import { ConnectorClient } from '../../../internal/rpc/connector-client.ts';
import { serveConnector } from '../../../internal/rpc/connector-service.ts';
import { RegistrationClient } from '../../../internal/rpc/registration-client.ts';
import { serveRegistration } from '../../../internal/rpc/registration-server.ts';
import { encodeFrame, FrameReader, openFrame } from '../../../internal/wire/capnp/framing.ts';
import {
  decodeSessionEndParams,
  decodeSessionParams,
  decodeSessionResults,
  decodeUpdateParams,
  decodeUpdateResults,
} from '../../../internal/wire/rpc/connector-calls.ts';
import {
  decodeLocalConfigurationParams,
  decodeRegisterParams,
  decodeRegisterResults,
  type RegistrationRequest,
} from '../../../internal/wire/rpc/registration.ts';
import { decodeRpcMessage, encodeUnimplemented } from '../../../internal/wire/rpc/rpc-message.ts';
import { scatterMessage } from '../../support/capnp-scatter.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { readMessage, readMessageNames, readVector, sentBy } from '../../support/vectors.ts';
import { type FuzzTarget, randomChunks } from '../target.ts';

const limit = 1 << 20;
const messages = (): Buffer[] =>
  readMessageNames()
    .filter(name => !name.startsWith('quic_'))
    .map(readMessage);

/** Every message in `bytes`, framed again. Throws as the reader does, after what came before. */
function readAll(chunks: readonly Buffer[]): { frames: Buffer[]; error: unknown } {
  const reader = new FrameReader(limit);
  const frames: Buffer[] = [];
  try {
    for (const chunk of chunks) {
      reader.push(chunk);
      for (let message = reader.next(); message !== undefined; message = reader.next())
        frames.push(encodeFrame(message.segments));
    }
  } catch (error) {
    return { frames, error };
  }
  return { frames, error: undefined };
}

const framing: FuzzTarget = {
  name: 'framing',
  seeds: () => [Buffer.concat(messages()), ...messages().map(message => scatterMessage(message, seededRandom(5)))],
  run(input, random) {
    const whole = readAll([Buffer.from(input)]);
    const pieces = readAll(randomChunks(input, random));
    assert.deepEqual(pieces.frames, whole.frames);
    assert.equal(pieces.error === undefined, whole.error === undefined);
    if (whole.error !== undefined) throw whole.error;
  },
};

const callReaders = [
  decodeRegisterParams,
  decodeLocalConfigurationParams,
  decodeSessionParams,
  decodeSessionEndParams,
  decodeUpdateParams,
];
const resultReaders = [decodeRegisterResults, decodeSessionResults, decodeUpdateResults];

const rpcMessages: FuzzTarget = {
  name: 'RPC messages',
  seeds: () => [...messages(), ...messages().map(message => scatterMessage(message, seededRandom(5)))],
  run(input, random) {
    const [frame] = readAll([input]).frames;
    if (frame === undefined) return;
    const raw = openFrame(frame, 0);
    const message = decodeRpcMessage(raw);
    if (message.kind === 'call') callReaders[random.below(callReaders.length)]?.(message.params);
    if (message.kind === 'return' && message.body.kind === 'results')
      resultReaders[random.below(resultReaders.length)]?.(message.body.content);
    const echo = openFrame(encodeUnimplemented(raw), 0);
    assert.equal(echo.root().uint16(0), 0);
    // The echo replaces the root pointer, which an odd message may use as its contents too.
    const tag = raw.root().uint16(0);
    if (tag !== raw.segments[0]?.readUInt16LE(0)) assert.equal(echo.root().struct(0).uint16(0), tag);
  },
};

const details = { uuid: '11111111-2222-3333-4444-555555555555', locationName: 'x', tunnelIsRemotelyManaged: true };

/** Plays mutated bytes to a server; whatever they are, the conversation must end when they do. */
const servers: FuzzTarget = {
  name: 'RPC servers',
  seeds: () => [
    sentBy(readVector('quic-datagram-v2', 'quic-control-stream-1'), 'connector'),
    // Behind the signature of an RPC stream.
    sentBy(readVector('quic-datagram-v2', 'quic-rpc-update-configuration'), 'edge').subarray(6),
    sentBy(readVector('quic-datagram-v2', 'quic-rpc-register-udp-session'), 'edge').subarray(6),
    ...messages(),
  ],
  async run(input, random) {
    const [own, stream] = duplexPair();
    own.resume();
    own.on('error', () => undefined);
    const closed =
      random.below(2) === 0
        ? serveRegistration(stream, {
            register: () => Promise.resolve({ details }),
            updateLocalConfiguration: () => Promise.resolve(),
            unregister: () => Promise.resolve(),
          }).closed
        : serveConnector(stream, {
            updateConfiguration: update => Promise.resolve({ latestAppliedVersion: update.version, error: '' }),
            registerUdpSession: () => Promise.resolve(''),
            unregisterUdpSession: () => Promise.resolve(),
          });
    for (const chunk of randomChunks(input, random)) own.write(chunk);
    own.end();
    const error = await closed;
    own.destroy();
    stream.destroy();
    assert.notEqual(error?.code, 'internal', error?.message ?? '');
  },
};

const request: RegistrationRequest = {
  accountTag: 'a',
  tunnelSecret: new Uint8Array(32),
  tunnelId: details.uuid,
  connIndex: 0,
  clientId: details.uuid,
  features: [],
  version: '1',
  arch: 'x',
  originLocalIp: new Uint8Array(),
  replaceExisting: false,
  compressionQuality: 0,
  numPreviousAttempts: 0,
};

/** Plays mutated answers to a client; its calls must settle when they end. */
const clients: FuzzTarget = {
  name: 'RPC clients',
  seeds: () => [
    sentBy(readVector('quic-datagram-v2', 'quic-control-stream-1'), 'edge'),
    sentBy(readVector('quic-registration-error', 'quic-control-stream-1'), 'edge'),
    sentBy(readVector('quic-datagram-v2', 'quic-rpc-update-configuration'), 'connector'),
    ...messages(),
  ],
  async run(input, random) {
    const [own, stream] = duplexPair();
    own.resume();
    own.on('error', () => undefined);
    const isConnector = random.below(2) === 0;
    const calls: Promise<unknown>[] = [];
    const options = { timeoutMs: 60_000 };
    if (isConnector) {
      calls.push(new RegistrationClient(stream, options).registerConnection(request));
    } else {
      const client = new ConnectorClient(stream, options);
      calls.push(client.updateConfiguration({ version: 1, config: new Uint8Array() }));
    }
    for (const chunk of randomChunks(input, random)) own.write(chunk);
    own.end();
    const [outcome] = await Promise.allSettled(calls);
    own.destroy();
    stream.destroy();
    if (outcome?.status === 'rejected') throw outcome.reason;
  },
};

export const rpcTargets: readonly FuzzTarget[] = [framing, rpcMessages, servers, clients];
