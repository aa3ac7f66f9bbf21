// `host:port` as people, URLs and sockets write it, IPv6 in brackets: the one place where it is written and taken apart.
// Source: RFC 3986 §3.2.2 (brackets), RFC 4007 §11 (zones). URLs of configurations have rules of their own (schema/go-url.ts).

import { isIP } from 'node:net';
import { formatIp, type IpBytes, parseIp } from './ip.ts';

export interface HostPort {
  /** A name, or an address without brackets; an IPv6 address may have a zone. */
  readonly host: string;
  readonly port: number;
}

/** `example.com:80`, `1.2.3.4:53` or `[2001:db8::1]:53`. */
export function formatHostPort(host: string, port: number): string {
  return `${bracketed(host)}:${port}`;
}

/** A host as it stands in a URL: IPv6 in brackets, all else as it is. */
export function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/**
 * Parses `host:port`, `address:port` or `[v6]:port`, port 1…65535; undefined when it is none of these. `defaultPort` stands
 * in where the text has no port; without one, a text without a port is refused. Whether a name is one is not judged.
 */
export function parseHostPort(text: string, defaultPort?: number): HostPort | undefined {
  const parsed = parsePlace(text, defaultPort);
  return parsed === undefined || parsed.host === '' || parsed.port < 1 ? undefined : parsed;
}

/** Parses what to listen on: like `parseHostPort`, with port 0 for any, and with `:port` for every address (`::`). */
export function parseListenAddress(text: string): HostPort | undefined {
  const parsed = parsePlace(text, undefined);
  return parsed?.host === '' ? { host: '::', port: parsed.port } : parsed;
}

/** Host and port of a socket, from the text that the system made of it. */
export function splitHostPort(text: string): HostPort {
  return { host: hostOf(text), port: Number(text.slice(text.lastIndexOf(':') + 1)) };
}

/** The host of `host`, `host:port`, `[v6]` or `[v6]:port`, without brackets; what is none of these gives no host of anybody. */
export function hostOf(text: string): string {
  const colon = text.lastIndexOf(':');
  const bracket = text.lastIndexOf(']');
  const host = colon > bracket ? text.slice(0, colon) : text;
  return bracket >= 0 && host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}

/**
 * The host of a Host header, in lower case, without port and brackets; undefined for what names none. For whoever trusts a
 * host: browsers and URLs read `127.0.0.1@a.example` and `127.0.0.1/a` in other ways than `hostOf`. RFC 9110 §7.2.
 */
export function hostOfHeader(text: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]{2,45})\]|([-_.a-z0-9]{1,255}))(?::(\d{0,5}))?$/i.exec(text);
  if (match === null || match[0] !== text) return undefined;
  const [, inBrackets, plain = '', port = ''] = match;
  if (Number(port) > 65_535 || (inBrackets !== undefined && isIP(inBrackets) !== 6)) return undefined;
  return (inBrackets ?? plain).toLowerCase();
}

/** `1.2.3.4:53` or `[2001:db8::1]:53`. */
export function formatIpPort(bytes: IpBytes, port: number): string {
  return formatHostPort(formatIp(bytes), port);
}

/** Parses `1.2.3.4:53` or `[2001:db8::1]:53`; undefined when either part is wrong. Port 0 and zones are refused. */
export function parseIpPort(text: string): { readonly address: IpBytes; readonly port: number } | undefined {
  const parsed = parseHostPort(text);
  const address = parsed && parseIp(parsed.host);
  return address === undefined ? undefined : { address, port: parsed?.port ?? 0 };
}

/** Port 0…65535, host perhaps empty. */
function parsePlace(text: string, defaultPort: number | undefined): HostPort | undefined {
  const match = /^(?:\[([^\][\s/]+)\]|([^:\][\s/]*))(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const [, inBrackets, plain = '', digits] = match;
  if (inBrackets !== undefined && isIP(inBrackets) !== 6) return undefined;
  const port = digits === undefined ? defaultPort : Number(digits);
  return port === undefined || port > 65_535 ? undefined : { host: inBrackets ?? plain, port };
}
