// Datagram v2: a suffix format, read from the end. Source: docs/protocol/datagrams.md §4.1.
//
//  0 UDP payload      payload · session id (16) · 00        both ways
//  1 IP packet        packet · 01                           both ways
//  2 traced packet    packet · trace identity (25) · 02     edge → connector
//  3 tracing spans    protobuf · trace identity (25) · 03   connector → edge

import { type DatagramProblem, sessionIdBytes } from './datagram-problem.ts';

export const datagramV2Type = { udp: 0, packet: 1, tracedPacket: 2, spans: 3 } as const;
/** Trace id (16), span id (8), flags (1). */
export const traceIdentityBytes = 25;
/** What the suffix adds to a UDP payload and to an IP packet. */
export const udpSuffixBytesV2 = sessionIdBytes + 1;
export const packetSuffixBytesV2 = 1;

const nothing = new Uint8Array(0);
/** Suffix before the type byte, by type. */
const identityBytes: readonly number[] = [sessionIdBytes, 0, traceIdentityBytes, traceIdentityBytes];

/**
 * A view of one datagram, made once and pointed at datagram after datagram. The body (payload, packet or spans) is
 * `datagram[0…bodyBytes)`; the session id or trace identity follows it. Nothing is copied.
 */
export class DatagramV2View {
  datagram: Uint8Array = nothing;
  /** One of `datagramV2Type`. */
  type = 0;
  /** Length of the body, and so the offset of what follows it. */
  bodyBytes = 0;

  /** Points the view at `datagram`; on a problem the other fields mean nothing. */
  decode(datagram: Uint8Array): DatagramProblem | undefined {
    this.datagram = datagram;
    if (datagram.length === 0) return 'empty';
    const type = datagram[datagram.length - 1] ?? 0;
    const identity = identityBytes[type];
    if (identity === undefined) return 'unknown-type';
    const bodyBytes = datagram.length - 1 - identity;
    if (bodyBytes < 0) return 'short';
    this.type = type;
    this.bodyBytes = bodyBytes;
    return undefined;
  }
}

/**
 * Completes a UDP datagram around a payload that already lies in `out[0…payloadBytes)`; `id` is 16 bytes. Returns the
 * datagram's length. `out` must have 17 bytes of room behind the payload.
 */
export function writeUdpSuffixV2(out: Uint8Array, payloadBytes: number, id: Uint8Array): number {
  out.set(id, payloadBytes);
  out[payloadBytes + sessionIdBytes] = datagramV2Type.udp;
  return payloadBytes + udpSuffixBytesV2;
}

/** Completes a packet datagram around an IP packet in `out[0…packetBytes)`, with 1 byte of room behind it. */
export function writePacketSuffixV2(out: Uint8Array, packetBytes: number): number {
  out[packetBytes] = datagramV2Type.packet;
  return packetBytes + packetSuffixBytesV2;
}

/** Completes a traced packet or spans datagram around a body in `out[0…bodyBytes)`; `identity` is 25 bytes. */
export function writeTraceSuffixV2(out: Uint8Array, bodyBytes: number, identity: Uint8Array, type: 2 | 3): number {
  out.set(identity, bodyBytes);
  out[bodyBytes + traceIdentityBytes] = type;
  return bodyBytes + traceIdentityBytes + 1;
}
