import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { recordedDatagrams } from '../../../test/support/recorded-datagrams.ts';
import { seededRandom } from '../../../test/support/seeded-random.ts';
import {
  DatagramV3View,
  datagramV3Type,
  encodeRegistrationV3,
  encodeResponseV3,
  responseCodeV3,
  writeIcmpPrefixV3,
  writePayloadPrefixV3,
} from './datagram-v3.ts';

const id = Buffer.from('0102030405060708090a0b0c0d0e0f10', 'hex');
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Encodes again by the fields that the view saw. */
function encodeAgain(view: DatagramV3View): Uint8Array {
  const out = new Uint8Array(1400);
  const { datagram } = view;
  const requestId = datagram.subarray(view.idAt, view.idAt + 16);
  const body = datagram.subarray(view.bodyAt, view.bodyEnd);
  switch (view.type) {
    case datagramV3Type.registration:
      return out.subarray(
        0,
        encodeRegistrationV3(out, {
          id: requestId,
          address: view.address,
          port: view.port,
          idleSeconds: view.idleSeconds,
          traced: view.traced,
          ...(view.bundled ? { payload: body } : {}),
        }),
      );
    case datagramV3Type.payload:
      writePayloadPrefixV3(out, requestId);
      out.set(body, 17);
      return out.subarray(0, 17 + body.length);
    case datagramV3Type.icmp:
      writeIcmpPrefixV3(out);
      out.set(body, 1);
      return out.subarray(0, 1 + body.length);
    default:
      return out.subarray(0, encodeResponseV3(out, view.code, requestId, body));
  }
}

describe('datagram v3', () => {
  const recorded = recordedDatagrams('quic-datagram-v3.json');
  it('has recorded datagrams of every type', () => {
    assert.deepEqual(new Set(recorded.map(entry => entry.bytes[0])), new Set([0, 1, 2, 3]));
  });
  for (const [index, { from, bytes }] of recorded.entries()) {
    it(`recorded datagram ${index} from the ${from} decodes and encodes to the same bytes`, () => {
      const view = new DatagramV3View();
      assert.equal(view.decode(bytes), undefined);
      assert.equal(hex(encodeAgain(view)), hex(bytes));
    });

    it(`recorded datagram ${index}: every truncation is refused or is a shorter body`, () => {
      const view = new DatagramV3View();
      assert.equal(view.decode(bytes), undefined);
      const fixed = view.bodyAt;
      for (let length = 0; length < bytes.length; length += 1) {
        const problem = view.decode(bytes.subarray(0, length));
        if (length < fixed) assert.notEqual(problem, undefined, `${length} bytes`);
        if (problem === undefined) assert.ok(view.bodyEnd <= length);
      }
    });
  }

  const vectors: ReadonlyArray<readonly [string, string, (out: Uint8Array) => number]> = [
    [
      'registration 1.1.1.1:53',
      `0000003500d2${hex(id)}01010101`,
      out => encodeRegistrationV3(out, { id, address: Buffer.of(1, 1, 1, 1), port: 53, idleSeconds: 210 }),
    ],
    [
      'registration [2606:4700:cf1:2000::1]:53',
      `00010035001e${hex(id)}260647000cf120000000000000000001`,
      out =>
        encodeRegistrationV3(out, {
          id,
          address: Buffer.from('260647000cf120000000000000000001', 'hex'),
          port: 53,
          idleSeconds: 30,
        }),
    ],
    [
      'payload "hi"',
      `01${hex(id)}6869`,
      out => {
        writePayloadPrefixV3(out, id);
        out.set(Buffer.from('hi'), 17);
        return 19;
      },
    ],
    ['response ok', `0300${hex(id)}0000`, out => encodeResponseV3(out, responseCodeV3.ok, id)],
    ['response too many flows', `0303${hex(id)}0000`, out => encodeResponseV3(out, responseCodeV3.tooManyFlows, id)],
  ];
  for (const [name, expected, encode] of vectors) {
    it(`docs/protocol/edge-protocol.md §11: ${name}, both directions`, () => {
      const out = new Uint8Array(64);
      assert.equal(hex(out.subarray(0, encode(out))), expected);
      const view = new DatagramV3View();
      assert.equal(view.decode(Buffer.from(expected, 'hex')), undefined);
      assert.equal(hex(encodeAgain(view)), expected);
    });
  }

  it('holds payloads and packets to their limits', () => {
    const view = new DatagramV3View();
    const sized = (type: number, length: number): Uint8Array => new Uint8Array(length).with(0, type);
    assert.equal(view.decode(sized(1, 17)), undefined);
    assert.equal(view.decode(sized(1, 1297)), undefined);
    assert.equal(view.decode(sized(1, 16)), 'short');
    assert.equal(view.decode(sized(1, 1298)), 'oversized');
    assert.equal(view.decode(sized(2, 1)), 'short');
    assert.equal(view.decode(sized(2, 1281)), undefined);
    assert.equal(view.decode(sized(2, 1282)), 'oversized');
    for (let type = 4; type < 256; type += 1) assert.equal(view.decode(sized(type, 40)), 'unknown-type');
    assert.equal(view.decode(new Uint8Array(0)), 'empty');
  });

  it('refuses a response whose message length exceeds its bytes or the limit', () => {
    const view = new DatagramV3View();
    const response = Buffer.from(`03ff${hex(id)}00056869`, 'hex');
    assert.equal(view.decode(response), 'short');
    const long = new Uint8Array(1400);
    long.set([3, 0xff]);
    long.set([5, 0], 18);
    assert.equal(view.decode(long), 'oversized');
    long.set([0, 3], 18);
    assert.equal(view.decode(long), undefined);
    assert.equal(view.bodyEnd - view.bodyAt, 3);
  });

  it('never throws and never points outside on random and flipped bytes', () => {
    const random = seededRandom(0xdada);
    const view = new DatagramV3View();
    for (let round = 0; round < 20_000; round += 1) {
      const base = recorded[random.below(recorded.length)]?.bytes;
      assert.ok(base !== undefined);
      const bytes = random.below(2) === 0 ? random.bytes(random.below(64)) : Uint8Array.from(base);
      if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
      if (view.decode(bytes) !== undefined) continue;
      assert.ok(view.bodyAt <= view.bodyEnd && view.bodyEnd <= bytes.length);
      assert.ok(encodeAgain(view).length <= bytes.length);
    }
  });
});
