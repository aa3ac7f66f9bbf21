import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { recordedDatagrams } from '../../../test/support/recorded-datagrams.ts';
import { seededRandom } from '../../../test/support/seeded-random.ts';
import { IcmpPacketView } from '../../net/packet/packet-icmp.ts';
import {
  DatagramV2View,
  datagramV2Type,
  traceIdentityBytes,
  writePacketSuffixV2,
  writeTraceSuffixV2,
  writeUdpSuffixV2,
} from './datagram-v2.ts';

const id = Buffer.from('0102030405060708090a0b0c0d0e0f10', 'hex');
const identity = Buffer.alloc(traceIdentityBytes, 7);

/** Encodes the body again by the fields that the view saw. */
function encodeAgain(view: DatagramV2View): Uint8Array {
  const out = new Uint8Array(1400);
  out.set(view.datagram.subarray(0, view.bodyBytes));
  const tail = view.datagram.subarray(view.bodyBytes, view.datagram.length - 1);
  switch (view.type) {
    case datagramV2Type.udp:
      return out.subarray(0, writeUdpSuffixV2(out, view.bodyBytes, tail));
    case datagramV2Type.packet:
      return out.subarray(0, writePacketSuffixV2(out, view.bodyBytes));
    case datagramV2Type.tracedPacket:
      return out.subarray(0, writeTraceSuffixV2(out, view.bodyBytes, tail, 2));
    default:
      return out.subarray(0, writeTraceSuffixV2(out, view.bodyBytes, tail, 3));
  }
}

describe('datagram v2', () => {
  const recorded = recordedDatagrams('quic-datagram-v2.json');
  it('has recorded datagrams of both directions', () => {
    assert.ok(recorded.some(entry => entry.from === 'edge') && recorded.some(entry => entry.from === 'connector'));
  });
  for (const [index, { from, bytes }] of recorded.entries()) {
    it(`recorded datagram ${index} from the ${from} decodes and encodes to the same bytes`, () => {
      const view = new DatagramV2View();
      assert.equal(view.decode(bytes), undefined);
      assert.deepEqual(Buffer.from(encodeAgain(view)), Buffer.from(bytes));
      if (view.type === datagramV2Type.packet)
        assert.equal(new IcmpPacketView().decode(bytes.subarray(0, view.bodyBytes)), undefined);
    });
  }

  it('writes the vector of docs/protocol/edge-protocol.md §11', () => {
    const out = new Uint8Array(64);
    out.set(Buffer.from('hi'));
    const length = writeUdpSuffixV2(out, 2, id);
    assert.equal(Buffer.from(out.subarray(0, length)).toString('hex'), `6869${id.toString('hex')}00`);
  });

  it('takes empty bodies of every type', () => {
    const view = new DatagramV2View();
    for (const [type, tail] of [
      [0, id],
      [1, Buffer.alloc(0)],
      [2, identity],
      [3, identity],
    ] as const) {
      assert.equal(view.decode(Buffer.concat([tail, Buffer.of(type)])), undefined);
      assert.equal(view.type, type);
      assert.equal(view.bodyBytes, 0);
    }
  });

  it('refuses what is too short, empty or of an unknown type', () => {
    const view = new DatagramV2View();
    assert.equal(view.decode(new Uint8Array(0)), 'empty');
    for (let type = 4; type < 256; type += 1) assert.equal(view.decode(Buffer.of(1, 2, type)), 'unknown-type');
    for (let length = 0; length < 16; length += 1) assert.equal(view.decode(new Uint8Array(length + 1)), 'short');
    for (const type of [2, 3])
      for (let length = 0; length < traceIdentityBytes; length += 1)
        assert.equal(view.decode(Buffer.concat([Buffer.alloc(length), Buffer.of(type)])), 'short');
  });

  it('cut at the front, as any datagram may come, is refused or shorter', () => {
    const view = new DatagramV2View();
    for (const { bytes } of recorded) {
      for (let cut = 1; cut <= bytes.length; cut += 1) {
        const problem = view.decode(bytes.subarray(cut));
        assert.ok(problem !== undefined || view.bodyBytes < bytes.length);
      }
    }
  });

  it('never throws and never points outside on random bytes', () => {
    const random = seededRandom(0x5eed);
    const view = new DatagramV2View();
    for (let round = 0; round < 20_000; round += 1) {
      const bytes = random.bytes(random.below(64));
      if (bytes.length > 0 && random.below(2) === 0) bytes[bytes.length - 1] = random.below(5);
      if (view.decode(bytes) === undefined) assert.deepEqual(Buffer.from(encodeAgain(view)), Buffer.from(bytes));
    }
  });
});
