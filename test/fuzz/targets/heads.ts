// Heads of QUIC request streams and serialised response headers.

import assert from 'node:assert/strict';
import {
  decodeResponseHeaders,
  encodeResponseHeaders,
  isProtocolHeader,
} from '../../../internal/wire/stream/response-headers.ts';
import { parseResponseMeta, responseMetaValues } from '../../../internal/wire/stream/response-meta.ts';
import {
  decodeRequestHead,
  decodeResponseHead,
  encodeRefusalHead,
  encodeRequestHead,
  encodeResponseHead,
  measureStreamHead,
} from '../../../internal/wire/stream/stream-head.ts';
import { scatterMessage } from '../../support/capnp-scatter.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { readMessage, readVectors, sentBy } from '../../support/vectors.ts';
import type { FuzzTarget } from '../target.ts';

/** Recorded heads of one side, cut out of their streams, also in other layouts. */
function recordedHeads(from: 'edge' | 'connector', vector: string): Buffer[] {
  const heads = [readMessage(vector)];
  for (const entry of readVectors('quic-datagram-v2')) {
    const bytes = sentBy(entry, from);
    if (!/^quic-(http|websocket|tcp)/.test(entry.name)) continue;
    heads.push(bytes.subarray(0, measureStreamHead(bytes)));
  }
  const random = seededRandom(11);
  const scattered = heads.map(head =>
    Buffer.concat([head.subarray(0, 8), scatterMessage(head.subarray(8), random, 1 + random.below(4))]),
  );
  return [...heads, ...scattered];
}

const requests: FuzzTarget = {
  name: 'request heads',
  seeds: () => recordedHeads('edge', 'quic_data_stream_request'),
  run(input) {
    const length = measureStreamHead(input);
    if (length > input.length) return;
    const head = decodeRequestHead(input, length);
    // What was understood can be said again, and then means the same.
    const bytes = encodeRequestHead(head);
    assert.deepEqual(decodeRequestHead(bytes, measureStreamHead(bytes)), head);
  },
};

const responses: FuzzTarget = {
  name: 'response heads',
  seeds: () => recordedHeads('connector', 'quic_data_stream_response_head'),
  run(input) {
    const length = measureStreamHead(input);
    if (length > input.length) return;
    const head = decodeResponseHead('http', input, length);
    const bytes =
      head.kind === 'refusal'
        ? encodeRefusalHead({ message: head.message, rateLimited: head.rateLimited })
        : encodeResponseHead('http', head);
    const again = decodeResponseHead('http', bytes, measureStreamHead(bytes));
    assert.deepEqual(again, head);
  },
};

const serialised: FuzzTarget = {
  name: 'serialised response headers',
  seeds: () => [
    Buffer.from('Q29udGVudC1UeXBl:dGV4dC9odG1s;U2V0LUNvb2tpZQ:YT0x;U2V0LUNvb2tpZQ:Yj0y'),
    Buffer.from('Q2YtSW50LVg:eA;:;QQ==:Qg=='),
  ],
  run(input) {
    const headers = decodeResponseHeaders(input.toString('latin1'));
    const kept: string[] = [];
    for (let index = 0; index < headers.length; index += 2)
      if (!isProtocolHeader(headers[index] ?? '')) kept.push(headers[index] ?? '', headers[index + 1] ?? '');
    assert.deepEqual(decodeResponseHeaders(encodeResponseHeaders(headers)), kept);
  },
};

const meta: FuzzTarget = {
  name: 'response meta',
  seeds: () => Object.values(responseMetaValues).map(value => Buffer.from(value)),
  run(input) {
    assert.ok(parseResponseMeta(input.toString('latin1')) in responseMetaValues);
  },
};

export const headTargets: readonly FuzzTarget[] = [requests, responses, serialised, meta];
