// A forward proxy as a user names it: a URL of http, https or socks5, with user and password. Source: RFC 3986 §3.2;
// RFC 9110 §11.7.1 (Proxy-Authorization).

import { PosternError } from '../../errors/error.ts';
import { formatHostPort } from '../address/host-port.ts';

export interface ForwardProxy {
  readonly kind: 'http' | 'https' | 'socks5';
  readonly host: string;
  readonly port: number;
  /** '' = the proxy wants none. */
  readonly user: string;
  readonly password: string;
}

const defaultPorts = { http: 80, https: 443, socks5: 1080 } as const;

/** Reads `http://user:password@host:port` and the like; `socks5h` is `socks5`. Throws 'config.invalid', which quotes nothing. */
export function parseForwardProxy(text: string): ForwardProxy {
  const invalid = (why: string): PosternError =>
    new PosternError('config.invalid', `The proxy setting is not a URL of http, https or socks5${why}.`);
  const url = URL.parse(text.includes('://') ? text : `http://${text}`);
  const kind = url?.protocol.replace(/:$|h:$/, '');
  if (url === null || url.hostname === '' || (kind !== 'http' && kind !== 'https' && kind !== 'socks5'))
    throw invalid('');
  let [user, password] = ['', ''];
  try {
    user = decodeURIComponent(url.username);
    password = decodeURIComponent(url.password);
  } catch {
    throw invalid(': user or password has a % that begins no escape; write it as %25');
  }
  return {
    kind,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? defaultPorts[kind] : Number(url.port),
    user,
    password,
  };
}

/** Without user and password, for logs and errors. */
export function formatForwardProxy({ kind, host, port }: ForwardProxy): string {
  return `${kind}://${formatHostPort(host, port)}`;
}

/** The value of Proxy-Authorization; undefined without a user. */
export function proxyAuthorization(proxy: ForwardProxy): string | undefined {
  if (proxy.user === '') return undefined;
  return `Basic ${Buffer.from(`${proxy.user}:${proxy.password}`).toString('base64')}`;
}
