// Which addresses the echo proxy answers from: the flags' or the machine's. Source: docs/protocol/datagrams.md §7.1.

import { createSocket } from 'node:dgram';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { PosternError } from '../errors/error.ts';
import { formatIp, type IpBytes, isLinkLocal, parseIp } from '../net/address/ip.ts';

export interface EchoSource {
  readonly address: IpBytes;
  /** Name of the interface, for link-local addresses. */
  readonly zone: string | undefined;
  /** Index of that interface; 0 = none. */
  readonly scope: number;
  /** Named by the operator: sockets are bound to it. A found one only signs time exceeded. */
  readonly given: boolean;
}

/** The texts of `--icmpv4-src` and `--icmpv6-src`; undefined = find one. */
export interface EchoSourceFlags {
  readonly v4: string | undefined;
  readonly v6: string | undefined;
}

export type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/** Where the system is asked for its way out; nothing is sent there. */
const probeAddress = { host: '192.168.0.1', port: 53 };

/**
 * Chooses both addresses. Throws 'usage.invalid' in the words of cloudflared when a flag is no address or of the wrong
 * family; the caller then goes on without ICMP.
 */
export async function chooseEchoSources(
  flags: EchoSourceFlags,
  interfaces: Interfaces = networkInterfaces(),
): Promise<{ readonly 4: EchoSource; readonly 6: EchoSource }> {
  const v4 = flags.v4 === undefined ? foundSource(await outgoingIpv4()) : givenSource(flags.v4, 4, interfaces);
  const v6 = flags.v6 === undefined ? findIpv6(v4.address, interfaces) : givenSource(flags.v6, 6, interfaces);
  return { 4: v4, 6: v6 };
}

function givenSource(text: string, family: 4 | 6, interfaces: Interfaces): EchoSource {
  const percent = text.indexOf('%');
  const address = parseIp(percent < 0 ? text : text.slice(0, percent));
  const zone = percent < 0 ? undefined : text.slice(percent + 1);
  if (address === undefined || (zone !== undefined && (zone === '' || address.length === 4)))
    throw new PosternError('usage.invalid', `ParseAddr(${JSON.stringify(text)}): unable to parse IP`);
  if (address.length !== (family === 4 ? 4 : 16))
    throw new PosternError('usage.invalid', `expect IPv${family}, but ${text} is IPv${family === 4 ? 6 : 4}`);
  return { address, zone, scope: scopeOf(zone, address, interfaces), given: true };
}

function scopeOf(zone: string | undefined, address: IpBytes, interfaces: Interfaces): number {
  if (zone === undefined) return 0;
  if (/^\d+$/.test(zone)) return Number(zone);
  const entries = interfaces[zone] ?? [];
  const text = formatIp(address);
  const entry = entries.find(info => info.address === text) ?? entries.find(info => (info.scopeid ?? 0) > 0);
  if (entry === undefined)
    throw new PosternError('usage.invalid', `No interface named ${JSON.stringify(zone)} has IPv6`);
  return entry.scopeid ?? 0;
}

function foundSource(address: IpBytes): EchoSource {
  return { address, zone: undefined, scope: 0, given: false };
}

/** An IPv6 address of the interface that has the IPv4 one, else of any; global before link-local; else `::`. */
function findIpv6(ipv4: IpBytes, interfaces: Interfaces): EchoSource {
  const text = formatIp(ipv4);
  const same = Object.values(interfaces).find(infos => infos?.some(info => info.address === text));
  const rest = Object.values(interfaces).flatMap(infos => infos ?? []);
  for (const candidates of [same ?? [], rest]) {
    const addresses = candidates.filter(info => !info.internal).flatMap(info => parseIp(info.address) ?? []);
    const ipv6 = addresses.filter(address => address.length === 16);
    const best = ipv6.find(address => !isLinkLocal(address)) ?? ipv6[0];
    if (best !== undefined) return foundSource(best);
  }
  return foundSource(new Uint8Array(16));
}

/** The local address of the route to the probe address; `0.0.0.0` when there is none. */
function outgoingIpv4(): Promise<IpBytes> {
  return new Promise(resolve => {
    const socket = createSocket('udp4');
    const finish = (): void => {
      let text = '';
      try {
        text = socket.address().address;
      } catch {
        // Not bound because connecting failed: the machine has no IPv4 route.
      }
      socket.close();
      resolve(parseIp(text) ?? new Uint8Array(4));
    };
    socket.once('error', finish);
    socket.once('connect', finish);
    socket.connect(probeAddress.port, probeAddress.host);
  });
}
