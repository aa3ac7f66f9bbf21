// The IPv4 header: strict check of a received one, writing of ours. Source: RFC 791 §3.1; docs/protocol/datagrams.md
// §7.4.
//
//  0        1        2                 4        6                 8     9         10        12      16
//  | 4 | 5  | TOS    | total length    | id     | flags, offset   | TTL | protocol | checksum | source | destination |

import { addWords, checksum, finishChecksum } from './checksum.ts';
import type { PacketProblem } from './packet-problem.ts';

/** Header length in bytes of every packet we take or make: options are refused. */
export const ipv4HeaderBytes = 20;
export const ipv4SourceAt = 12;
export const ipv4DestinationAt = 16;
const moreFragmentsOrOffset = 0x3fff;

/** Checks a whole packet's header. Everything but version (which the caller has seen) is verified. */
export function checkIpv4(packet: Uint8Array): PacketProblem | undefined {
  if (packet.length < ipv4HeaderBytes) return 'short';
  const headerBytes = ((packet[0] ?? 0) & 0x0f) * 4;
  if (headerBytes < ipv4HeaderBytes) return 'length';
  if (headerBytes > packet.length) return 'short';
  if (headerBytes > ipv4HeaderBytes) return 'options';
  if ((((packet[2] ?? 0) << 8) | (packet[3] ?? 0)) !== packet.length) return 'length';
  if (checksum(packet, 0, ipv4HeaderBytes) !== 0) return 'header-checksum';
  if (((((packet[6] ?? 0) << 8) | (packet[7] ?? 0)) & moreFragmentsOrOffset) !== 0) return 'fragment';
  return undefined;
}

/**
 * Writes a header of 20 bytes at `at`: TOS, id, flags and offset are 0. The addresses are 4 bytes each, copied.
 * @param totalBytes length of the whole packet with this header
 */
export function writeIpv4Header(
  out: Uint8Array,
  at: number,
  totalBytes: number,
  ttl: number,
  protocol: number,
  source: Uint8Array,
  destination: Uint8Array,
): void {
  out.fill(0, at, at + ipv4HeaderBytes);
  out[at] = 0x45;
  out[at + 2] = totalBytes >>> 8;
  out[at + 3] = totalBytes;
  out[at + 8] = ttl;
  out[at + 9] = protocol;
  out.set(source, at + ipv4SourceAt);
  out.set(destination, at + ipv4DestinationAt);
  const sum = finishChecksum(addWords(0, out, at, at + ipv4HeaderBytes));
  out[at + 10] = sum >>> 8;
  out[at + 11] = sum;
}
