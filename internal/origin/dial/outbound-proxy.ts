// Which forward proxy, if any, a request to an origin goes through: HTTP_PROXY, HTTPS_PROXY and NO_PROXY as Go reads them.
// The values are handed in; nothing here reads the environment. Source: docs/protocol/ingress-and-origin.md §8.1, trap
// 25.

import { isIP } from 'node:net';
import { isLoopbackHost, parseIp } from '../../net/address/ip.ts';
import { parsePrefix, prefixContains } from '../../net/address/prefix.ts';
import { type ForwardProxy, parseForwardProxy } from '../../net/proxy/forward-proxy.ts';

/** '' = not set. */
export interface OutboundProxySettings {
  readonly httpProxy: string;
  readonly httpsProxy: string;
  readonly noProxy: string;
}

/** The proxy for an origin, or undefined for a direct connection. Throws 'config.invalid' for a proxy setting that is no URL. */
export function chooseProxy(
  settings: OutboundProxySettings,
  scheme: 'http' | 'https',
  host: string,
  port: number,
): ForwardProxy | undefined {
  const url = scheme === 'https' ? settings.httpsProxy : settings.httpProxy;
  if (url === '' || isLoopbackHost(host) || isExcluded(settings.noProxy, host, port)) return undefined;
  return parseForwardProxy(url);
}

function isExcluded(noProxy: string, host: string, port: number): boolean {
  const name = host.toLowerCase().replace(/\.$/, '');
  return noProxy.split(',').some(entry => matches(entry.trim().toLowerCase(), name, port));
}

/** `*`, an address, a CIDR, `name` (with its subdomains), `.name` (only those); each but `*` and CIDR with optional port. */
function matches(entry: string, name: string, port: number): boolean {
  if (entry === '' || entry === '*') return entry === '*';
  const address = parseIp(name);
  if (entry.includes('/')) {
    const prefix = parsePrefix(entry);
    return prefix !== undefined && address !== undefined && prefixContains(prefix, address);
  }
  const [, bracketed, plain, wanted] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(entry) ?? [];
  const own = isIP(entry) === 6 ? entry : (bracketed ?? plain ?? '');
  if (wanted !== undefined && isIP(entry) !== 6 && Number(wanted) !== port) return false;
  if (own.startsWith('*.')) return name.endsWith(own.slice(1));
  if (own.startsWith('.')) return name.endsWith(own);
  return own !== '' && (name === own || (address === undefined && name.endsWith(`.${own}`)));
}
