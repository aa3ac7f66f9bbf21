// Datagram v3 (feature support_datagram_v3_2): a prefix format, integers big-endian. Source: docs/protocol/datagrams.md
// §5.
//
//  0 registration  00 · flags · port (2) · idle seconds (2) · request id (16) · address (4 or 16) · bundled payload
//  1 payload       01 · request id (16) · payload (0…1280)
//  2 ICMP          02 · IP packet (1…1280)
//  3 response      03 · code · request id (16) · message length (2) · message

import { type DatagramProblem, ipPacketLimit, sessionIdBytes, udpPayloadLimit } from './datagram-problem.ts';

export const datagramV3Type = { registration: 0, payload: 1, icmp: 2, response: 3 } as const;
/** What the prefix adds to a UDP payload and to an IP packet. */
export const payloadPrefixBytesV3 = 1 + sessionIdBytes;
export const icmpPrefixBytesV3 = 1;
/** Length of a response without message. */
const responseBytesV3 = 20;

/** Registration flags. */
const flagIpv6 = 0x01;
const flagTraced = 0x02;
const flagBundle = 0x04;

export const responseCodeV3 = {
  ok: 0x00,
  destinationUnreachable: 0x01,
  unableToBind: 0x02,
  tooManyFlows: 0x03,
  errorWithMessage: 0xff,
} as const;

const nothing = new Uint8Array(0);
const registrationIdAt = 6;
const registrationAddressAt = 22;
const responseIdAt = 2;
const messageLimit = 1260;

/**
 * A view of one datagram, made once and pointed at datagram after datagram. Offsets are into `datagram`; fields that
 * the type does not have keep older values. Nothing is copied.
 */
export class DatagramV3View {
  datagram: Uint8Array = nothing;
  /** One of `datagramV3Type`. */
  type = 0;
  /** Where the 16-byte request id lies: registration, payload, response. */
  idAt = 0;
  /** Registration: where the destination address lies, and whether it is 4 or 16 bytes long. */
  addressAt = 0;
  addressBytes: 4 | 16 = 4;
  port = 0;
  /** Registration: whole seconds; 0 asks for the default. */
  idleSeconds = 0;
  traced = false;
  /** Registration: a payload is bundled (it may be empty). */
  bundled = false;
  /** Start of payload, bundled payload, IP packet or message; it reaches to the end, or to `bodyEnd` for a message. */
  bodyAt = 0;
  bodyEnd = 0;
  /** Response: one of `responseCodeV3`, or a code not known here. */
  code = 0;

  /** Points the view at `datagram`; on a problem the other fields mean nothing. */
  decode(datagram: Uint8Array): DatagramProblem | undefined {
    this.datagram = datagram;
    if (datagram.length === 0) return 'empty';
    this.type = datagram[0] ?? 0;
    this.bodyEnd = datagram.length;
    switch (this.type) {
      case datagramV3Type.registration:
        return this.#decodeRegistration();
      case datagramV3Type.payload:
        this.idAt = 1;
        this.bodyAt = payloadPrefixBytesV3;
        if (datagram.length < payloadPrefixBytesV3) return 'short';
        return datagram.length > payloadPrefixBytesV3 + udpPayloadLimit ? 'oversized' : undefined;
      case datagramV3Type.icmp:
        this.bodyAt = icmpPrefixBytesV3;
        if (datagram.length === icmpPrefixBytesV3) return 'short';
        return datagram.length > icmpPrefixBytesV3 + ipPacketLimit ? 'oversized' : undefined;
      case datagramV3Type.response:
        return this.#decodeResponse();
      default:
        return 'unknown-type';
    }
  }

  /** A view of the registration's destination address. */
  get address(): Uint8Array {
    return this.datagram.subarray(this.addressAt, this.addressAt + this.addressBytes);
  }

  #decodeRegistration(): DatagramProblem | undefined {
    const { datagram } = this;
    // Checked before anything is read: cloudflared crashes on these (docs/protocol/datagrams.md §5.1).
    if (datagram.length < registrationAddressAt + 4) return 'short';
    const flags = datagram[1] ?? 0;
    this.addressBytes = (flags & flagIpv6) !== 0 ? 16 : 4;
    this.bodyAt = registrationAddressAt + this.addressBytes;
    if (datagram.length < this.bodyAt) return 'short';
    this.traced = (flags & flagTraced) !== 0;
    this.bundled = (flags & flagBundle) !== 0;
    this.port = ((datagram[2] ?? 0) << 8) | (datagram[3] ?? 0);
    this.idleSeconds = ((datagram[4] ?? 0) << 8) | (datagram[5] ?? 0);
    this.idAt = registrationIdAt;
    this.addressAt = registrationAddressAt;
    return this.bundled && datagram.length - this.bodyAt > udpPayloadLimit ? 'oversized' : undefined;
  }

  #decodeResponse(): DatagramProblem | undefined {
    const { datagram } = this;
    if (datagram.length < responseBytesV3) return 'short';
    const messageBytes = ((datagram[18] ?? 0) << 8) | (datagram[19] ?? 0);
    if (messageBytes > messageLimit) return 'oversized';
    if (messageBytes > datagram.length - responseBytesV3) return 'short';
    this.code = datagram[1] ?? 0;
    this.idAt = responseIdAt;
    this.bodyAt = responseBytesV3;
    this.bodyEnd = responseBytesV3 + messageBytes;
    return undefined;
  }
}

export interface RegistrationV3 {
  /** 16 bytes. */
  readonly id: Uint8Array;
  /** 4 or 16 bytes; the length sets the IPv6 flag. */
  readonly address: Uint8Array;
  readonly port: number;
  /** 0…65535. */
  readonly idleSeconds: number;
  readonly traced?: boolean;
  /** Delivered by our connector; a stock one drops it (docs/protocol/datagrams.md §5.1), so an edge cannot rely on it. */
  readonly payload?: Uint8Array;
}

/** Writes a registration into `out` and returns its length. Throws RangeError where a field or `out` does not fit. */
export function encodeRegistrationV3(out: Uint8Array, fields: RegistrationV3): number {
  const { address, port, idleSeconds, payload } = fields;
  if (port > 65_535 || idleSeconds > 65_535 || port < 0 || idleSeconds < 0)
    throw new RangeError(`Port ${port} and idle time ${idleSeconds} s must be within 0…65535`);
  if (payload !== undefined && payload.length > udpPayloadLimit)
    throw new RangeError(`A bundled payload of ${payload.length} bytes exceeds ${udpPayloadLimit}`);
  out[0] = datagramV3Type.registration;
  out[1] =
    (address.length === 16 ? flagIpv6 : 0) |
    (fields.traced === true ? flagTraced : 0) |
    (payload === undefined ? 0 : flagBundle);
  out[2] = port >>> 8;
  out[3] = port;
  out[4] = idleSeconds >>> 8;
  out[5] = idleSeconds;
  out.set(fields.id, registrationIdAt);
  out.set(address, registrationAddressAt);
  const end = registrationAddressAt + address.length;
  if (payload === undefined) return end;
  out.set(payload, end);
  return end + payload.length;
}

/** Writes the 17 bytes in front of a UDP payload that begins at `out[17]`; `id` is 16 bytes. */
export function writePayloadPrefixV3(out: Uint8Array, id: Uint8Array): void {
  out[0] = datagramV3Type.payload;
  out.set(id, 1);
}

/** Writes the byte in front of an IP packet that begins at `out[1]`. */
export function writeIcmpPrefixV3(out: Uint8Array): void {
  out[0] = datagramV3Type.icmp;
}

/** Writes a response and returns its length; `message` is cut at 1260 bytes. */
export function encodeResponseV3(out: Uint8Array, code: number, id: Uint8Array, message?: Uint8Array): number {
  const text = message?.subarray(0, messageLimit) ?? nothing;
  out[0] = datagramV3Type.response;
  out[1] = code;
  out.set(id, responseIdAt);
  out[18] = text.length >>> 8;
  out[19] = text.length;
  out.set(text, responseBytesV3);
  return responseBytesV3 + text.length;
}
