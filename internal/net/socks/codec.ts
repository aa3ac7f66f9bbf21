// SOCKS5 messages as a server reads and writes them: the on-ramp's for clients of private networks, the connector's for
// visitors of `socks-proxy` services. Source: RFC 1928 §3–7, RFC 1929 §2.
//
//   request, reply:  05 | command or reply | 00 | atyp | address | port (2)
//   UDP datagram:    00 00 | fragment | atyp | address | port (2) | payload
//   address:         01: 4 bytes · 03: length, name · 04: 16 bytes

import type { Duplex } from 'node:stream';
import { PosternError } from '../../errors/error.ts';
import type { IpBytes } from '../address/ip.ts';
import { readExactly } from '../stream/read-exactly.ts';

export const socksVersion = 5;
export const method = { none: 0, password: 2, noneAcceptable: 0xff } as const;
export const command = { connect: 1, udpAssociate: 3 } as const;
export const reply = {
  success: 0,
  failure: 1,
  denied: 2,
  networkUnreachable: 3,
  hostUnreachable: 4,
  refused: 5,
  expired: 6,
  command: 7,
  address: 8,
} as const;

const addressType = { ipv4: 1, name: 3, ipv6: 4 } as const;

/** Where a client wants to go. */
export type SocksHost =
  | { readonly kind: 'address'; readonly address: IpBytes }
  /** 1…255 characters of Latin-1, whatever the client sent. */
  | { readonly kind: 'name'; readonly name: string };

/** User name and password of RFC 1929. */
export interface SocksCredentials {
  readonly user: string;
  readonly password: string;
}

/** What a client asks for. */
export interface SocksRequest {
  readonly command: number;
  readonly host: SocksHost;
  readonly port: number;
}

/** The methods a client offers. Throws 'protocol.malformed'. */
export async function readGreeting(stream: Duplex): Promise<Buffer> {
  const [version, count] = (await readExactly(stream, 2)) as unknown as [number, number];
  if (version !== socksVersion) throw malformed(`version ${version}`);
  return count === 0 ? Buffer.alloc(0) : readExactly(stream, count);
}

/** User name and password of RFC 1929; both may be empty. Throws 'protocol.malformed'. */
export async function readCredentials(stream: Duplex): Promise<SocksCredentials> {
  const [version, userBytes] = (await readExactly(stream, 2)) as unknown as [number, number];
  if (version !== 1) throw malformed(`version ${version} of user name and password`);
  const user = userBytes === 0 ? '' : (await readExactly(stream, userBytes)).toString('utf8');
  const passwordBytes = (await readExactly(stream, 1))[0] ?? 0;
  const password = passwordBytes === 0 ? '' : (await readExactly(stream, passwordBytes)).toString('utf8');
  return { user, password };
}

/**
 * The request. Throws 'protocol.malformed'; an address type that does not exist cannot be skipped, so it is one too:
 * `onUnknownAddress` is called before.
 */
export async function readRequest(stream: Duplex, onUnknownAddress: () => void): Promise<SocksRequest> {
  const head = (await readExactly(stream, 4)) as unknown as [number, number, number, number];
  const [version, wanted, , type] = head;
  if (version !== socksVersion) throw malformed(`version ${version}`);
  let host: SocksHost;
  if (type === addressType.ipv4) host = addressHost(await readExactly(stream, 4));
  else if (type === addressType.ipv6) host = addressHost(await readExactly(stream, 16));
  else if (type === addressType.name) {
    const length = (await readExactly(stream, 1))[0] ?? 0;
    if (length === 0) throw malformed('an empty name');
    host = { kind: 'name', name: (await readExactly(stream, length)).toString('latin1') };
  } else {
    onUnknownAddress();
    throw malformed(`address type ${type}`);
  }
  const port = (await readExactly(stream, 2)).readUInt16BE(0);
  return { command: wanted, host, port };
}

/** A reply with the address the server uses; unspecified where it says nothing. */
export function encodeReply(code: number, address: IpBytes = new Uint8Array(4), port = 0): Buffer {
  const type = address.length === 16 ? addressType.ipv6 : addressType.ipv4;
  return Buffer.concat([Buffer.from([socksVersion, code, 0, type]), address, Buffer.from([port >> 8, port & 0xff])]);
}

/** The destination of a UDP datagram. */
export interface UdpHeader {
  readonly host: SocksHost;
  readonly port: number;
  /** The payload begins here. */
  readonly bytes: number;
}

/** Reads the header of a client's datagram; undefined when it is cut, fragmented or of an unknown kind. */
export function decodeUdpHeader(datagram: Uint8Array): UdpHeader | undefined {
  // Fragments (byte 2) are for small buffers of long ago; RFC 1928 lets a server drop them.
  if (datagram.length < 4 || datagram[0] !== 0 || datagram[1] !== 0 || datagram[2] !== 0) return undefined;
  const type = datagram[3];
  const at = type === addressType.name ? 5 : 4;
  const addressBytes =
    type === addressType.ipv4 ? 4 : type === addressType.ipv6 ? 16 : type === addressType.name ? (datagram[4] ?? 0) : 0;
  const portAt = at + addressBytes;
  if (addressBytes === 0 || datagram.length < portAt + 2) return undefined;
  const raw = datagram.slice(at, portAt);
  const isName = type === addressType.name;
  const host: SocksHost = isName ? { kind: 'name', name: Buffer.from(raw).toString('latin1') } : addressHost(raw);
  return { host, port: ((datagram[portAt] ?? 0) << 8) | (datagram[portAt + 1] ?? 0), bytes: portAt + 2 };
}

/** The header in front of a payload that goes to the client. */
export function encodeUdpHeader(address: IpBytes, port: number): Buffer {
  const type = address.length === 16 ? addressType.ipv6 : addressType.ipv4;
  return Buffer.concat([Buffer.from([0, 0, 0, type]), address, Buffer.from([port >> 8, port & 0xff])]);
}

function addressHost(bytes: Uint8Array): SocksHost {
  // Node's buffers come from a shared pool: what is kept must be a copy.
  return { kind: 'address', address: Uint8Array.from(bytes) };
}

function malformed(reason: string): PosternError {
  return new PosternError('protocol.malformed', `A SOCKS client sent what cannot be served: ${reason}`);
}
