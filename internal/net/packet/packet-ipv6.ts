// The IPv6 header: strict check of a received one, writing of ours. Source: RFC 8200 §3; docs/protocol/datagrams.md §7.4.
//
//  0                                 4                6             7           8        24
//  | 6 | traffic class | flow label  | payload length | next header | hop limit | source | destination |

import type { PacketProblem } from './packet-problem.ts';

export const ipv6HeaderBytes = 40;
export const ipv6SourceAt = 8;
export const ipv6DestinationAt = 24;
/** Hop-by-hop, routing, fragment, ESP, AH, destination options, mobility, HIP, shim6 (RFC 7045 §4, IANA). */
const extensionHeaders: ReadonlySet<number> = new Set([0, 43, 44, 50, 51, 60, 135, 139, 140]);
const fragmentHeader = 44;

/** Checks a whole packet's header; the version has been seen by the caller. Extension headers are refused. */
export function checkIpv6(packet: Uint8Array): PacketProblem | undefined {
  if (packet.length < ipv6HeaderBytes) return 'short';
  if ((((packet[4] ?? 0) << 8) | (packet[5] ?? 0)) !== packet.length - ipv6HeaderBytes) return 'length';
  const next = packet[6] ?? 0;
  if (next === fragmentHeader) return 'fragment';
  if (extensionHeaders.has(next)) return 'extension';
  return undefined;
}

/**
 * Writes a header of 40 bytes at `at`: traffic class and flow label are 0. The addresses are 16 bytes each, copied.
 * @param totalBytes length of the whole packet with this header
 */
export function writeIpv6Header(
  out: Uint8Array,
  at: number,
  totalBytes: number,
  hopLimit: number,
  nextHeader: number,
  source: Uint8Array,
  destination: Uint8Array,
): void {
  out.fill(0, at, at + ipv6HeaderBytes);
  out[at] = 0x60;
  out[at + 4] = (totalBytes - ipv6HeaderBytes) >>> 8;
  out[at + 5] = totalBytes - ipv6HeaderBytes;
  out[at + 6] = nextHeader;
  out[at + 7] = hopLimit;
  out.set(source, at + ipv6SourceAt);
  out.set(destination, at + ipv6DestinationAt);
}
