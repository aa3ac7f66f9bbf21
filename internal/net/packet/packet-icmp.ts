// ICMP inside a whole IP packet, both families: one reusable view for received packets, one writer for ours.
// Sources: RFC 792, RFC 4443 §2–4; docs/protocol/datagrams.md §7.2, §7.4.
//
//  ICMP:  0      1      2          4                          8
//         | type | code | checksum | rest: id (2) · sequence (2) in echo messages; 0 in time exceeded | data

import { addWords, finishChecksum, pseudoHeaderSum } from './checksum.ts';
import { checkIpv4, ipv4DestinationAt, ipv4HeaderBytes, ipv4SourceAt, writeIpv4Header } from './packet-ipv4.ts';
import { checkIpv6, ipv6DestinationAt, ipv6HeaderBytes, ipv6SourceAt, writeIpv6Header } from './packet-ipv6.ts';
import type { PacketProblem } from './packet-problem.ts';

export const icmpHeaderBytes = 8;
export const icmpProtocol = { 4: 1, 6: 58 } as const;
export const icmpType = {
  4: { echoReply: 0, echoRequest: 8, timeExceeded: 11, unreachable: 3 },
  6: { echoReply: 129, echoRequest: 128, timeExceeded: 3, unreachable: 1 },
} as const;
/**
 * Most bytes of an offending packet that an error quotes: 576 − 20 − 8 and 1280 − 40 − 8 (docs/protocol/datagrams.md
 * §7.4).
 */
export const quotedBytesLimit = { 4: 548, 6: 1232 } as const;

const noPacket = new Uint8Array(0);

/**
 * A view of one received packet, made once and pointed at packet after packet with `decode`. Offsets are into
 * `packet`, which the view does not own; nothing is copied.
 */
export class IcmpPacketView {
  packet: Uint8Array = noPacket;
  family: 4 | 6 = 4;
  ttl = 0;
  /** Where source and destination lie; each `addressBytes` long and next to each other. */
  sourceAt = 0;
  destinationAt = 0;
  addressBytes: 4 | 16 = 4;
  /** Start of the ICMP header; it reaches to the end of the packet. */
  icmpAt = 0;
  type = 0;
  code = 0;

  /** Points the view at `packet` and checks everything there is to check. On a problem the fields mean nothing. */
  decode(packet: Uint8Array): PacketProblem | undefined {
    this.packet = packet;
    if (packet.length === 0) return 'empty';
    const version = (packet[0] ?? 0) >>> 4;
    if (version === 4) return checkIpv4(packet) ?? this.#decodeIpv4(packet);
    if (version === 6) return checkIpv6(packet) ?? this.#decodeIpv6(packet);
    return 'version';
  }

  /** Echo messages only. */
  get identifier(): number {
    return this.#word(4);
  }

  /** Echo messages only. */
  get sequence(): number {
    return this.#word(6);
  }

  /** A view of the source address's bytes. */
  get source(): Uint8Array {
    return this.packet.subarray(this.sourceAt, this.sourceAt + this.addressBytes);
  }

  /** A view of the destination address's bytes. */
  get destination(): Uint8Array {
    return this.packet.subarray(this.destinationAt, this.destinationAt + this.addressBytes);
  }

  /** A view of what follows the ICMP header: echo data, or the packet an error quotes. */
  get data(): Uint8Array {
    return this.packet.subarray(this.icmpAt + icmpHeaderBytes);
  }

  #decodeIpv4(packet: Uint8Array): PacketProblem | undefined {
    if (packet[9] !== icmpProtocol[4]) return 'protocol';
    this.family = 4;
    this.ttl = packet[8] ?? 0;
    this.sourceAt = ipv4SourceAt;
    this.destinationAt = ipv4DestinationAt;
    this.addressBytes = 4;
    this.icmpAt = ipv4HeaderBytes;
    return this.#decodeIcmp(0);
  }

  #decodeIpv6(packet: Uint8Array): PacketProblem | undefined {
    if (packet[6] !== icmpProtocol[6]) return 'protocol';
    this.family = 6;
    this.ttl = packet[7] ?? 0;
    this.sourceAt = ipv6SourceAt;
    this.destinationAt = ipv6DestinationAt;
    this.addressBytes = 16;
    this.icmpAt = ipv6HeaderBytes;
    return this.#decodeIcmp(
      pseudoHeaderSum(packet, ipv6SourceAt, 16, icmpProtocol[6], packet.length - ipv6HeaderBytes),
    );
  }

  #decodeIcmp(pseudoSum: number): PacketProblem | undefined {
    const { packet, icmpAt } = this;
    if (packet.length < icmpAt + icmpHeaderBytes) return 'short';
    if (finishChecksum(addWords(pseudoSum, packet, icmpAt, packet.length)) !== 0) return 'icmp-checksum';
    this.type = packet[icmpAt] ?? 0;
    this.code = packet[icmpAt + 1] ?? 0;
    return undefined;
  }

  #word(offset: number): number {
    const at = this.icmpAt + offset;
    return ((this.packet[at] ?? 0) << 8) | (this.packet[at + 1] ?? 0);
  }
}

/** What goes into a packet of ours. Both addresses have the packet's family. */
export interface IcmpPacketFields {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** TTL or hop limit. */
  readonly ttl: number;
  readonly type: number;
  readonly code: number;
  /** Bytes 4…7 of the ICMP header. */
  readonly identifier: number;
  readonly sequence: number;
  /** Copied behind the header. */
  readonly data: Uint8Array;
}

/** Length of the packet that `encodeIcmpPacket` writes. */
export function icmpPacketBytes(fields: IcmpPacketFields): number {
  return (fields.source.length === 4 ? ipv4HeaderBytes : ipv6HeaderBytes) + icmpHeaderBytes + fields.data.length;
}

/**
 * Writes a whole packet with correct checksums into `out` at `at` and returns its length in bytes.
 * `fields.data` may be a view of `out` only where it already lies in its place. Throws RangeError when `out` is short.
 */
export function encodeIcmpPacket(out: Uint8Array, at: number, fields: IcmpPacketFields): number {
  const total = icmpPacketBytes(fields);
  if (at + total > out.length)
    throw new RangeError(`A packet of ${total} bytes needs more room than ${out.length - at}`);
  const { source, destination, ttl } = fields;
  let icmpAt = at;
  let pseudoSum = 0;
  if (source.length === 4) {
    icmpAt += ipv4HeaderBytes;
    writeIpv4Header(out, at, total, ttl, icmpProtocol[4], source, destination);
  } else {
    icmpAt += ipv6HeaderBytes;
    writeIpv6Header(out, at, total, ttl, icmpProtocol[6], source, destination);
    pseudoSum = pseudoHeaderSum(out, at + ipv6SourceAt, 16, icmpProtocol[6], total - ipv6HeaderBytes);
  }
  writeIcmpMessage(out, icmpAt, fields, pseudoSum);
  return total;
}

/**
 * Writes an ICMP message without IP header at `at`, checksum included. `pseudoSum` is 0 for ICMPv4, and for ICMPv6
 * where the kernel will compute the checksum itself. Returns its length in bytes.
 */
export function writeIcmpMessage(
  out: Uint8Array,
  at: number,
  fields: Pick<IcmpPacketFields, 'type' | 'code' | 'identifier' | 'sequence' | 'data'>,
  pseudoSum: number,
): number {
  const end = at + icmpHeaderBytes + fields.data.length;
  out.set(fields.data, at + icmpHeaderBytes);
  out[at] = fields.type;
  out[at + 1] = fields.code;
  out[at + 2] = 0;
  out[at + 3] = 0;
  out[at + 4] = fields.identifier >>> 8;
  out[at + 5] = fields.identifier;
  out[at + 6] = fields.sequence >>> 8;
  out[at + 7] = fields.sequence;
  const sum = finishChecksum(addWords(pseudoSum, out, at, end));
  out[at + 2] = sum >>> 8;
  out[at + 3] = sum;
  return end - at;
}
