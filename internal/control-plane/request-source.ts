// Whether a request to the API may come from a web page. Pages reach loopback through their visitors' browsers: by a name
// of their own that points there (DNS rebinding), or from another site. Source: RFC 9110 §7.4 (misdirected requests), the
// Fetch standard's `Origin` and `Sec-Fetch-Site`.

import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { hostOfHeader } from '../net/address/host-port.ts';

export interface SourceProblem {
  readonly status: 403 | 421;
  readonly message: string;
}

/** `isOwn`: besides addresses and `localhost`, the names a request may be for; asked in lower case. */
export function judgeSource(
  { headers, method }: IncomingMessage,
  isOwn: (name: string) => boolean,
): SourceProblem | undefined {
  const { host = '', origin } = headers;
  const name = hostnameOf(host);
  if (name === undefined || (isIP(name) === 0 && name !== 'localhost' && !isOwn(name))) {
    return { status: 421, message: 'This API is not served under that name: use its address, or localhost' };
  }
  const site = headers['sec-fetch-site'];
  // A link that somebody follows: it changes nothing, and the page that it stands in learns nothing.
  const isFollowed =
    method === 'GET' && headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';
  const isForeignSite = site !== undefined && site !== 'same-origin' && site !== 'none' && !isFollowed;
  if (isForeignSite || (origin !== undefined && authorityOf(origin) !== host.toLowerCase())) {
    return { status: 403, message: 'Web pages of other sites may not use this API' };
  }
  return undefined;
}

/** In lower case, without port, brackets and the root's dot; undefined for what names no host. */
function hostnameOf(host: string): string | undefined {
  return hostOfHeader(host)?.replace(/\.$/, '');
}

/** Host and port of an origin as a Host header has them; undefined for `null` and what is no origin. */
function authorityOf(origin: string): string | undefined {
  const url = URL.parse(origin);
  return url === null || url.host === '' ? undefined : url.host;
}
