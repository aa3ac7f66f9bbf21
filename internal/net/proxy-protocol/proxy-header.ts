// The header of the PROXY protocol, by which an origin learns whose connection it serves. Source: "The PROXY protocol,
// versions 1 & 2" by HAProxy, §2.1 (v1), §2.2 (v2).
//
//   v1: PROXY TCP4 192.0.2.1 198.51.100.1 51324 443\r\n
//   v2: |0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A|21|family, transport|length 16 bit|source|destination|ports|

import { isIP } from 'node:net';
import { parseIp, unmapIpv4 } from '../address/ip.ts';

export type ProxyVersion = 'v1' | 'v2';

export interface ProxyEnds {
  readonly transport: 'tcp' | 'udp';
  /** Address texts as sockets tell them; IPv4-mapped ones are written as IPv4 where both are. */
  readonly sourceAddress: string;
  readonly sourcePort: number;
  /** Where the visitor connected to. */
  readonly destinationAddress: string;
  readonly destinationPort: number;
}

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** Version 2, command PROXY. */
const versionAndCommand = 0x21;
const transports = { tcp: 1, udp: 2 } as const;

/** The bytes before the first of the visitor's. Ends that are no addresses are written as unknown. v1 knows TCP only. */
export function proxyHeader(version: ProxyVersion, ends: ProxyEnds): Buffer {
  const addresses = addressesOf(ends);
  return version === 'v1' ? textHeader(ends, addresses) : binaryHeader(ends, addresses);
}

interface Addresses {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
}

/** Both of one family: an IPv4 address beside an IPv6 one is mapped. */
function addressesOf({ sourceAddress, destinationAddress }: ProxyEnds): Addresses | undefined {
  const [source, destination] = [plain(sourceAddress), plain(destinationAddress)];
  if (source === undefined || destination === undefined) return undefined;
  if (source.length === destination.length) return { source, destination };
  return { source: mapped(source), destination: mapped(destination) };
}

function plain(text: string): Uint8Array | undefined {
  const bytes = parseIp(text.replace(/%.*$/, ''));
  return bytes === undefined ? undefined : unmapIpv4(bytes);
}

function mapped(bytes: Uint8Array): Uint8Array {
  return bytes.length === 16 ? bytes : Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...bytes);
}

function textHeader({ sourcePort, destinationPort }: ProxyEnds, addresses: Addresses | undefined): Buffer {
  if (addresses === undefined) return Buffer.from('PROXY UNKNOWN\r\n');
  const { source, destination } = addresses;
  const [from, to] = [textOf(source), textOf(destination)];
  const family = isIP(from) === 4 ? 'TCP4' : 'TCP6';
  return Buffer.from(`PROXY ${family} ${from} ${to} ${sourcePort} ${destinationPort}\r\n`, 'latin1');
}

/** Eight groups without compression: some readers of v1 take a mapped address in no other form. */
function textOf(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const view = Buffer.from(bytes);
  return Array.from({ length: 8 }, (_, group) => view.readUInt16BE(group * 2).toString(16)).join(':');
}

function binaryHeader({ transport, sourcePort, destinationPort }: ProxyEnds, addresses: Addresses | undefined): Buffer {
  const family = addresses === undefined ? 0 : (addresses.source.length === 4 ? 0x10 : 0x20) | transports[transport];
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(sourcePort, 0);
  ports.writeUInt16BE(destinationPort, 2);
  const body = addresses === undefined ? [] : [addresses.source, addresses.destination, ports];
  const length = body.reduce((total, part) => total + part.length, 0);
  return Buffer.concat([signature, Buffer.of(versionAndCommand, family, length >> 8, length & 0xff), ...body]);
}
