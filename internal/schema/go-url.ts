// URL parsing as cloudflared does it, so that the same service texts are accepted and refused with the same
// words. Source: RFC 3986 and the observable behaviour of Go's net/url (docs/protocol/ingress-and-origin.md §3, §6);
// WHATWG's `URL` differs (it lower-cases, adds a path, turns numbers into addresses) and cannot stand in.

/** Parts of a parsed URL. `hostname` without brackets and zone escapes; `port` is text, '' when absent. */
export interface GoUrl {
  readonly scheme: string;
  readonly userinfo: string;
  readonly hostname: string;
  readonly port: string;
  /** Host as written, with brackets and port. */
  readonly host: string;
  readonly path: string;
  /** Query and fragment with their marks, as written. */
  readonly suffix: string;
}

/** Either the parts, or why the text is no URL (without the leading `parse "…": `). */
export type GoUrlResult = { readonly url: GoUrl } | { readonly reason: string };

/** Parses an absolute or relative URL; never throws. */
export function parseGoUrl(text: string): GoUrlResult {
  if (/[\0-\x1f\x7f]/.test(text)) return { reason: 'net/url: invalid control character in URL' };
  const suffixAt = text.search(/[?#]/);
  const suffix = suffixAt === -1 ? '' : text.slice(suffixAt);
  let rest = suffixAt === -1 ? text : text.slice(0, suffixAt);

  if (rest.startsWith(':')) return { reason: 'missing protocol scheme' };
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(rest)?.[1] ?? '';
  if (scheme !== '') rest = rest.slice(scheme.length + 1);

  const none = { userinfo: '', hostname: '', port: '', host: '' };
  if (!rest.startsWith('/')) {
    // `localhost:8080`: a scheme with an opaque part, no host.
    if (scheme !== '') return { url: { scheme: scheme.toLowerCase(), ...none, path: '', suffix } };
    if (/^[^/]*:/.test(rest)) return { reason: 'first path segment in URL cannot contain colon' };
  }
  let authority = none;
  if (rest.startsWith('//') && (scheme !== '' || !rest.startsWith('///'))) {
    const pathAt = rest.indexOf('/', 2);
    const parsed = parseAuthority(rest.slice(2, pathAt === -1 ? undefined : pathAt));
    if ('reason' in parsed) return parsed;
    authority = parsed.authority;
    rest = pathAt === -1 ? '' : rest.slice(pathAt);
  }
  const badEscape = findBadEscape(rest);
  if (badEscape !== undefined) return { reason: `invalid URL escape ${JSON.stringify(badEscape)}` };
  return { url: { scheme: scheme.toLowerCase(), ...authority, path: rest, suffix } };
}

interface Authority {
  readonly userinfo: string;
  readonly hostname: string;
  readonly port: string;
  readonly host: string;
}

function parseAuthority(text: string): { readonly authority: Authority } | { readonly reason: string } {
  const at = text.lastIndexOf('@');
  const userinfo = at === -1 ? '' : text.slice(0, at);
  if (!/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(userinfo)) return { reason: 'net/url: invalid userinfo' };
  const host = text.slice(at + 1);

  let hostname = host;
  let portPart = '';
  if (host.startsWith('[')) {
    const close = host.lastIndexOf(']');
    if (close === -1) return { reason: "missing ']' in host" };
    hostname = host.slice(1, close).replaceAll('%25', '%');
    portPart = host.slice(close + 1);
  } else {
    const colon = host.lastIndexOf(':');
    if (colon !== -1) {
      hostname = host.slice(0, colon);
      portPart = host.slice(colon);
    }
    const badEscape = findBadEscape(hostname);
    if (badEscape !== undefined) return { reason: `invalid URL escape ${JSON.stringify(badEscape)}` };
    const badCharacter = /[ "<>\\^`{|}]/.exec(hostname)?.[0];
    if (badCharacter !== undefined) return { reason: `invalid character ${JSON.stringify(badCharacter)} in host name` };
  }
  if (!/^(:\d*)?$/.test(portPart)) return { reason: `invalid port ${JSON.stringify(portPart)} after host` };
  return { authority: { userinfo, hostname, port: portPart.slice(1), host } };
}

/** The first `%` that two hexadecimal digits do not follow, with what does. */
function findBadEscape(text: string): string | undefined {
  const at = text.search(/%(?![0-9A-Fa-f]{2})/);
  return at === -1 ? undefined : text.slice(at, at + 3);
}

/** Host and port of `host:port` as Go's SplitHostPort takes them apart; undefined when there is no port part. */
export function splitHostPort(text: string): { readonly host: string; readonly port: string } | undefined {
  const bracketed = /^\[([^[\]]*)\]:([^[\]:]*)$/.exec(text);
  if (bracketed !== null) return { host: bracketed[1] ?? '', port: bracketed[2] ?? '' };
  const plain = /^([^[\]:]*):([^[\]:]*)$/.exec(text);
  return plain === null ? undefined : { host: plain[1] ?? '', port: plain[2] ?? '' };
}
