// Our codecs against independent ones: capnp-es from the same schemas, and Debian's `capnp` program.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  oracleDecodeRegistration,
  oracleDecodeRequest,
  oracleDecodeResponse,
  oracleEncodeRegistration,
  oracleEncodeRequest,
  oracleEncodeResponse,
} from '../../../test/support/capnp-oracle.ts';
import { scatterMessage } from '../../../test/support/capnp-scatter.ts';
import { haveCommand } from '../../../test/support/debian-package.ts';
import { pick, randomText, randomToken } from '../../../test/support/random-text.ts';
import { type SeededRandom, seededRandom } from '../../../test/support/seeded-random.ts';
import { readMessage, readMessageNames } from '../../../test/support/vectors.ts';
import { decodeRegisterParams, encodeRegisterParams, type RegistrationRequest } from '../rpc/registration.ts';
import { decodeUuid } from '../rpc/uuid.ts';
import { type ConnectRequest, decodeConnectRequest, encodeConnectRequest } from '../stream/connect-request.ts';
import { type ConnectResponse, decodeConnectResponse, encodeConnectResponse } from '../stream/connect-response.ts';
import { CapnpWriter } from './capnp-writer.ts';
import { measureFrame, openFrame } from './framing.ts';

const rounds = 400;
const seed = 20261121;

/** Text as the general library has it: our strings hold the UTF-8 bytes of what is beyond one byte a character. */
const asBytes = (text: string): string =>
  /[^\u0000-\u00ff]/.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;

function randomMetadata(random: SeededRandom): string[] {
  return Array.from({ length: random.below(random.below(10) === 0 ? 200 : 12) }, () => [
    `HttpHeader:${randomToken(random)}`,
    randomText(random, random.below(10) === 0 ? 4000 : 60),
  ]).flat();
}

function randomRequest(random: SeededRandom): ConnectRequest {
  return {
    dest: randomText(random, 200),
    type: pick(random, ['http', 'websocket', 'tcp']),
    metadata: randomMetadata(random),
  };
}

function randomRegistration(random: SeededRandom): RegistrationRequest {
  return {
    accountTag: randomText(random, 40),
    tunnelSecret: random.bytes(random.below(64)),
    tunnelId: decodeUuid(random.bytes(16)),
    connIndex: random.below(256),
    clientId: decodeUuid(random.bytes(16)),
    features: Array.from({ length: random.below(8) }, () => randomText(random, 20)),
    version: randomText(random, 10),
    arch: randomText(random, 10),
    originLocalIp: random.bytes(random.below(2) * 16),
    replaceExisting: random.below(2) === 1,
    compressionQuality: random.below(256),
    numPreviousAttempts: random.below(256),
  };
}

/** Registration parameters as the root of a message. */
function encodeRegistration(request: RegistrationRequest): Buffer {
  const writer = new CapnpWriter();
  encodeRegisterParams(writer.payload(), request);
  return writer.finish();
}

describe('agreement with capnp-es', () => {
  it('on random requests and responses, in any layout', () => {
    const random = seededRandom(seed);
    for (let round = 0; round < rounds; round += 1) {
      const request = randomRequest(random);
      const read = { ...request, dest: asBytes(request.dest), metadata: request.metadata.map(asBytes) };
      const ours = encodeConnectRequest(request);
      const theirs = oracleEncodeRequest(request);
      const spread = scatterMessage(ours, random);
      for (const bytes of [ours, theirs, spread])
        assert.deepEqual(decodeConnectRequest(bytes, 0, bytes.length), read, `seed ${seed}, round ${round}`);
      assert.deepEqual(oracleDecodeRequest(ours), request, `seed ${seed}, round ${round}`);

      const response: ConnectResponse = { error: randomText(random, 300), metadata: randomMetadata(random) };
      const answer = encodeConnectResponse(response);
      const expected = { ...response, metadata: response.metadata.map(asBytes) };
      for (const bytes of [answer, oracleEncodeResponse(response), scatterMessage(answer, random)])
        assert.deepEqual(decodeConnectResponse(bytes, 0, bytes.length), expected, `seed ${seed}, round ${round}`);
      assert.deepEqual(oracleDecodeResponse(answer), response, `seed ${seed}, round ${round}`);
    }
  });

  it('on random registrations, in any layout', () => {
    const random = seededRandom(seed);
    for (let round = 0; round < rounds; round += 1) {
      const request = randomRegistration(random);
      const ours = encodeRegistration(request);
      for (const bytes of [ours, oracleEncodeRegistration(request), scatterMessage(ours, random)])
        assert.deepEqual(decodeRegisterParams(openFrame(bytes, 0).root()), request, `seed ${seed}, round ${round}`);
      assert.deepEqual(oracleDecodeRegistration(ours), request, `seed ${seed}, round ${round}`);
    }
  });
});

const haveCapnp = haveCommand('capnp', ['capnproto', 'libcapnp-dev']);
const rpcSchema = '/usr/include/capnp/rpc.capnp';
const headSchema = join(import.meta.dirname, '..', 'schema', 'quic_metadata_protocol.capnp');

/** Runs Debian's program on `input`. */
function capnp(args: readonly string[], input: Buffer): Buffer {
  const { status, stdout, stderr } = spawnSync('capnp', args, { input });
  assert.equal(status, 0, stderr.toString());
  assert.equal(stderr.toString(), '');
  return stdout;
}

/** A request in the program's own notation. It looks for the end of a message without regard to quotes, so marks are escaped. */
function capnpText({ dest, type, metadata }: ConnectRequest): string {
  const quoted = (text = ''): string =>
    `"${text.replace(/[!-/:-@[-`{-~]/g, character => `\\x${character.charCodeAt(0).toString(16)}`)}"`;
  const pairs: string[] = [];
  for (let index = 0; index < metadata.length; index += 2)
    pairs.push(`(key = ${quoted(metadata[index])}, val = ${quoted(metadata[index + 1])})`);
  return `(dest = ${quoted(dest)}, type = ${type}, metadata = [${pairs.join(', ')}])`;
}

describe('agreement with the capnp program', { skip: haveCapnp ? false : 'capnp is not installed' }, () => {
  it('on random requests, written by either side', () => {
    const random = seededRandom(seed);
    const requests = Array.from({ length: 60 }, () => randomRequest(random));
    const frames = requests.map(request => encodeConnectRequest(request));
    const spread = frames.map(frame => scatterMessage(frame, random));
    const text = capnp(['decode', headSchema, 'ConnectRequest'], Buffer.concat(frames));
    assert.deepEqual(capnp(['decode', headSchema, 'ConnectRequest'], Buffer.concat(spread)), text);
    let theirs = capnp(['encode', headSchema, 'ConnectRequest'], Buffer.from(requests.map(capnpText).join('\n')));
    for (const request of requests) {
      const length = measureFrame(theirs, 0, theirs.length, 1 << 20);
      const read = { ...request, dest: asBytes(request.dest), metadata: request.metadata.map(asBytes) };
      assert.deepEqual(decodeConnectRequest(theirs, 0, length), read, `seed ${seed}`);
      theirs = theirs.subarray(length);
    }
    assert.equal(theirs.length, 0);
  });

  it('on every RPC message', { skip: existsSync(rpcSchema) ? false : 'libcapnp-dev is not installed' }, () => {
    const names = readMessageNames().filter(name => !name.startsWith('quic_'));
    const text = capnp(['decode', '--short', rpcSchema, 'Message'], Buffer.concat(names.map(readMessage))).toString();
    const lines = text.trim().split('\n');
    const line = (name: string): string => lines[names.indexOf(name)] ?? '';
    assert.equal(lines.length, names.length);
    assert.match(line('bootstrap'), /^\(bootstrap = \(questionId = 0\)\)$/);
    assert.match(line('finish1'), /^\(finish = \(questionId = 1, releaseResultCaps = false\)\)$/);
    assert.match(line('return_bootstrap'), /releaseParamCaps = false.*senderHosted = 0/);
    assert.match(line('return_exception'), /reason = "Unauthorized: Invalid tunnel secret"/);
  });
});
