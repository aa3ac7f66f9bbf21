// Destinations in a private network: an address or a name, and which addresses a route must name to reach.

import { formatHostPort, parseHostPort } from '../../net/address/host-port.ts';
import { formatIp, type IpBytes, isSpecialDestination, parseIp, unmapIpv4 } from '../../net/address/ip.ts';
import { type Prefix, parsePrefix, prefixCovers } from '../../net/address/prefix.ts';

export type PrivateHost =
  | { readonly kind: 'address'; readonly address: IpBytes }
  /** Lower case, without trailing dot. */
  | { readonly kind: 'name'; readonly name: string };

export type AddressHost = Extract<PrivateHost, { readonly kind: 'address' }>;

export interface PrivateTarget {
  readonly host: PrivateHost;
  readonly port: number;
}

/** An address (mapped IPv4 as IPv4) or a host name of letters, digits, `-`, `_`; undefined when it is neither. */
export function parsePrivateHost(text: string): PrivateHost | undefined {
  const address = parseIp(text);
  if (address !== undefined) return { kind: 'address', address: unmapIpv4(address) };
  const name = text.toLowerCase().replace(/\.$/, '');
  const isName = name.length <= 253 && /^[a-z0-9_]([-a-z0-9_]{0,62})(\.[a-z0-9_]([-a-z0-9_]{0,62}))*$/.test(name);
  // Something like 10.1 or 0x7f000001 is a name to us and an address to resolvers: never let it through.
  return isName && !/(^|\.)(\d+|0x[0-9a-f]*)$/.test(name) ? { kind: 'name', name } : undefined;
}

/** The text that `parsePrivateHost` gives the same host for. */
export function formatPrivateHost(host: PrivateHost): string {
  return host.kind === 'address' ? formatIp(host.address) : host.name;
}

/** `10.1.2.3:80`, `[fd00::1]:80` or `db.internal:80`. */
export function formatPrivateTarget(host: PrivateHost, port: number): string {
  return formatHostPort(formatPrivateHost(host), port);
}

/** Host and port of a text such as `formatPrivateTarget` writes; `defaultPort` stands in where it names no port. */
export function parsePrivateTarget(text: string, defaultPort?: number): PrivateTarget | undefined {
  const parsed = parseHostPort(text, defaultPort);
  const host = parsed && parsePrivateHost(parsed.host);
  return host === undefined ? undefined : { host, port: parsed?.port ?? 0 };
}

const specialPrefixes: readonly Prefix[] = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '255.255.255.255/32',
  '::/128',
  '::1/128',
  'fe80::/10',
  'ff00::/8',
].flatMap(text => parsePrefix(text) ?? []);

/**
 * Whether an address may be reached by a route of this prefix (CIDR text): those of the connector's own machine, its link
 * and groups only where the route is for such addresses and nothing else, so that `0.0.0.0/0` does not open loopback.
 */
export function routeAllows(prefixText: string, address: IpBytes): boolean {
  if (!isSpecialDestination(address)) return true;
  const prefix = parsePrefix(prefixText);
  return prefix !== undefined && specialPrefixes.some(special => prefixCovers(special, prefix));
}
