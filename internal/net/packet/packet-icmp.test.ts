import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseIp } from '../address/ip.ts';
import { encodeIcmpPacket, type IcmpPacketFields, IcmpPacketView, icmpType } from './packet-icmp.ts';
import type { PacketProblem } from './packet-problem.ts';

function ip(text: string): Uint8Array {
  const bytes = parseIp(text);
  assert.ok(bytes !== undefined, text);
  return bytes;
}

const data = new TextEncoder().encode('abcdefghijklmnop');
const v4: IcmpPacketFields = {
  source: ip('192.0.2.7'),
  destination: ip('127.0.0.1'),
  ttl: 64,
  type: icmpType[4].echoRequest,
  code: 0,
  identifier: 0x1234,
  sequence: 1,
  data,
};
const v6: IcmpPacketFields = {
  ...v4,
  source: ip('2001:db8::7'),
  destination: ip('2001:db8::1'),
  type: icmpType[6].echoRequest,
};

function encode(fields: IcmpPacketFields): Uint8Array {
  const out = new Uint8Array(1300);
  return out.slice(0, encodeIcmpPacket(out, 0, fields));
}

function problemOf(packet: Uint8Array): PacketProblem | undefined {
  return new IcmpPacketView().decode(packet);
}

/** A copy with some bytes changed and the IPv4 header checksum made right again. */
function changed(packet: Uint8Array, change: (copy: Uint8Array) => void): Uint8Array {
  const copy = packet.slice();
  change(copy);
  if ((copy[0] ?? 0) >>> 4 === 4 && copy.length >= 20) {
    copy[10] = 0;
    copy[11] = 0;
    let sum = 0;
    for (let at = 0; at < 20; at += 2) sum += ((copy[at] ?? 0) << 8) | (copy[at + 1] ?? 0);
    sum = (sum & 0xffff) + (sum >>> 16);
    sum = ~((sum & 0xffff) + (sum >>> 16)) & 0xffff;
    copy[10] = sum >>> 8;
    copy[11] = sum & 0xff;
  }
  return copy;
}

describe('ICMP packets', () => {
  it('writes the bytes that a stock peer sent', () => {
    // Recorded: vectors quic-datagram-v2, entry quic-datagram-v2-icmp, first datagram without its type byte.
    const recorded = '4500002c00000000400139c9c00002077f0000010800a27f123400016162636465666768696a6b6c6d6e6f70';
    assert.equal(Buffer.from(encode(v4)).toString('hex'), recorded);
  });

  for (const [name, fields] of [
    ['IPv4', v4],
    ['IPv6', v6],
  ] as const) {
    it(`round trip over ${name}`, () => {
      const view = new IcmpPacketView();
      assert.equal(view.decode(encode(fields)), undefined);
      assert.deepEqual(view.source, fields.source);
      assert.deepEqual(view.destination, fields.destination);
      assert.equal(view.ttl, 64);
      assert.equal(view.type, fields.type);
      assert.equal(view.code, 0);
      assert.equal(view.identifier, 0x1234);
      assert.equal(view.sequence, 1);
      assert.deepEqual(view.data, data);
    });

    it(`every truncation and every longer ${name} packet is refused`, () => {
      const packet = encode(fields);
      for (let length = 0; length < packet.length; length += 1)
        assert.notEqual(problemOf(packet.subarray(0, length)), undefined, `${length} bytes`);
      const longer = new Uint8Array(packet.length + 1);
      longer.set(packet);
      assert.equal(problemOf(longer), 'length');
    });

    it(`every flipped bit of ${name} is refused or lands in a field no checksum covers`, () => {
      const packet = encode(fields);
      // IPv6 has no header checksum: traffic class, flow label and hop limit may change unseen.
      const uncovered = name === 'IPv6' ? new Set([0, 1, 2, 3, 7]) : new Set<number>();
      for (let bit = 0; bit < packet.length * 8; bit += 1) {
        const copy = packet.slice();
        copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        if (!uncovered.has(bit >> 3)) assert.notEqual(problemOf(copy), undefined, `bit ${bit}`);
      }
    });
  }

  it('names what is wrong', () => {
    const packet4 = encode(v4);
    const packet6 = encode(v6);
    const cases: ReadonlyArray<readonly [PacketProblem, Uint8Array]> = [
      ['empty', new Uint8Array(0)],
      ['version', Uint8Array.of(0x55)],
      ['short', packet4.subarray(0, 19)],
      ['short', packet6.subarray(0, 39)],
      ['options', changed(packet4, copy => copy.set([0x46], 0))],
      ['length', changed(packet4, copy => copy.set([0x44], 0))],
      ['length', changed(packet4, copy => copy.set([0, 45], 2))],
      ['header-checksum', packet4.with(10, 0)],
      ['fragment', changed(packet4, copy => copy.set([0x20, 0], 6))],
      ['fragment', changed(packet4, copy => copy.set([0, 1], 6))],
      ['protocol', changed(packet4, copy => copy.set([17], 9))],
      ['protocol', changed(packet4, copy => copy.set([58], 9))],
      ['icmp-checksum', packet4.with(43, 0)],
      ['length', packet6.with(5, 25)],
      ['fragment', packet6.with(6, 44)],
      ['extension', packet6.with(6, 0)],
      ['protocol', packet6.with(6, 1)],
      ['icmp-checksum', packet6.with(60, 0)],
    ];
    for (const [problem, packet] of cases) assert.equal(problemOf(packet), problem);
    // "Don't fragment" is not a fragment.
    assert.equal(problemOf(changed(packet4, copy => copy.set([0x40, 0], 6))), undefined);
  });

  it('refuses to write past the end of the buffer', () => {
    assert.throws(() => encodeIcmpPacket(new Uint8Array(43), 0, v4), RangeError);
    assert.throws(() => encodeIcmpPacket(new Uint8Array(64), 21, v4), RangeError);
    assert.equal(encodeIcmpPacket(new Uint8Array(44), 0, v4), 44);
  });
});
