// From the flags of `edge run` to the settings of its on-ramps.

import { PosternError } from '../../internal/errors/error.ts';
import { bracketed, type HostPort, parseListenAddress } from '../../internal/net/address/host-port.ts';
import { parseIp } from '../../internal/net/address/ip.ts';
import type { DnsSettings, OnRampSettings } from '../../internal/on-ramps/on-ramps.ts';
import { parsePrivateTarget } from '../../internal/private-network/routes/private-host.ts';

export interface OnRampFlags {
  readonly socks: string | undefined;
  readonly socksOpen: boolean;
  readonly httpProxy: string | undefined;
  readonly httpProxyOpen: boolean;
  readonly dns: readonly string[];
  readonly confineHostnames: boolean;
}

/** Throws 'usage.invalid' naming the flag and what would be right. */
export function parseOnRamps(flags: OnRampFlags): OnRampSettings {
  const socks = flags.socks === undefined ? undefined : parseAddress('--socks', flags.socks);
  if (socks === undefined && flags.socksOpen)
    throw new PosternError('usage.invalid', '--socks-open says how --socks works: give --socks HOST:PORT too');
  const httpProxy = flags.httpProxy === undefined ? undefined : parseAddress('--http-proxy', flags.httpProxy);
  if (httpProxy === undefined && flags.httpProxyOpen)
    throw new PosternError(
      'usage.invalid',
      '--http-proxy-open says how --http-proxy works: give --http-proxy HOST:PORT too',
    );
  return {
    socks: socks && { ...socks, open: flags.socksOpen },
    httpProxy: httpProxy && { ...httpProxy, open: flags.httpProxyOpen },
    dns: flags.dns.map(parseDns),
    confineHostnames: flags.confineHostnames,
  };
}

/** `VNET=HOST:PORT,resolver=IP[:PORT]`. */
function parseDns(text: string): DnsSettings {
  // A name of a network may hold anything: the address is what follows the last `=` before the resolver.
  const match = /^(.+)=([^=,]+),resolver=([^=,]+)$/.exec(text);
  const [, vnet, address = '', resolver = ''] = match ?? [];
  const target = parsePrivateTarget(parseIp(resolver) === undefined ? resolver : bracketed(resolver), 53);
  const host = target?.host;
  if (vnet === undefined || target === undefined || host?.kind !== 'address') {
    throw new PosternError(
      'usage.invalid',
      `--dns must be VNET=HOST:PORT,resolver=IP[:PORT], such as default=127.0.0.1:5353,resolver=10.0.0.53, not ${JSON.stringify(text)}`,
    );
  }
  return { vnet, ...parseAddress('--dns', address), resolver: { host, port: target.port } };
}

/** `HOST:PORT` or `[IPv6]:PORT`; the host is an address or `localhost`. */
function parseAddress(flag: string, text: string): HostPort {
  const address = text.startsWith(':') ? undefined : parseListenAddress(text);
  // The literal address: UDP and TCP must listen on the same one.
  const host = address?.host === 'localhost' ? '127.0.0.1' : address?.host;
  if (address === undefined || host === undefined || parseIp(host) === undefined) {
    throw new PosternError(
      'usage.invalid',
      `${flag} must listen on ADDRESS:PORT, such as 127.0.0.1:1080, not ${JSON.stringify(text)}`,
    );
  }
  return { host, port: address.port };
}
