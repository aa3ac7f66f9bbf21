// Which forward proxy, if any, a request to an origin goes through: HTTP_PROXY, HTTPS_PROXY and NO_PROXY as Go reads them.
// The values are handed in; nothing here reads the environment. Source: docs/protocol/ingress-and-origin.md §8.1, trap
// 25.

import { isIP } from 'node:net';
import { PosternError } from '../../errors/error.ts';
import { isLoopbackHost, parseIp } from '../../net/address/ip.ts';
import { parsePrefix, prefixContains } from '../../net/address/prefix.ts';

/** '' = not set. */
export interface OutboundProxySettings {
  readonly httpProxy: string;
  readonly httpsProxy: string;
  readonly noProxy: string;
}

export interface OutboundProxy {
  readonly kind: 'http' | 'https' | 'socks5';
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

/** The proxy for an origin, or undefined for a direct connection. Throws 'config.invalid' for a proxy setting that is no URL. */
export function chooseProxy(
  settings: OutboundProxySettings,
  scheme: 'http' | 'https',
  host: string,
  port: number,
): OutboundProxy | undefined {
  const url = scheme === 'https' ? settings.httpsProxy : settings.httpProxy;
  if (url === '' || isLoopbackHost(host) || isExcluded(settings.noProxy, host, port)) return undefined;
  return parseProxyUrl(url);
}

/** The value of Proxy-Authorization; undefined without a user. */
export function proxyAuthorization(proxy: OutboundProxy): string | undefined {
  if (proxy.user === '') return undefined;
  return `Basic ${Buffer.from(`${proxy.user}:${proxy.password}`).toString('base64')}`;
}

const defaultPorts = { http: 80, https: 443, socks5: 1080 } as const;

function parseProxyUrl(text: string): OutboundProxy {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`);
  const kind = url?.protocol.replace(/:$|h:$/, '');
  if (url === null || url.hostname === '' || (kind !== 'http' && kind !== 'https' && kind !== 'socks5'))
    throw new PosternError('config.invalid', 'The proxy setting is not a URL of http, https or socks5.');
  return {
    kind,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? defaultPorts[kind] : Number(url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
  };
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
