// What host and path a visitor may ask for. Strict, because edge, connector and origin must all read the same thing.
// Source: RFC 9112 §3.2 (forms of the target), RFC 3986 §2.1, §3.2; RFC 9113 §8.3.1.

/** Name or address with an optional port: nothing that could end a line, a host or a user's name in it. */
const authority = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::\d{0,5})?$/;
/** Visible ASCII without `#`: a fragment never leaves a client, and readers disagree about one that did. */
const originForm = /^\/[\x21\x22\x24-\x7e]*$/;
const highByte = /[\x80-\xff]/g;

export function isAuthority(text: string): boolean {
  return authority.test(text);
}

/**
 * An authority in the one form that matches host names further on: without an empty port (RFC 3986 §6.2.3) and without the
 * root's dot.
 */
export function plainAuthority(text: string): string {
  return text.replace(/\.?(:\d*)?$/, (_end, port: string | undefined) =>
    port === undefined || port === ':' ? '' : port,
  );
}

/** Path with query, or the `*` of an OPTIONS that asks about the server as a whole. */
export function isTarget(method: string, text: string): boolean {
  return originForm.test(text) || (text === '*' && method === 'OPTIONS');
}

/**
 * A path with what clients should have encoded and did not: bytes from 0x80 up, as `%` and two digits. That is the same
 * path (RFC 3986 §2.1), and every reader further on takes it.
 */
export function encodePath(path: string): string {
  return path.replace(highByte, byte => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Splits the absolute form, whose authority counts and not the Host header's; what is no origin form fails later. */
export function splitTarget(target: string, hostHeader: string | undefined): { host: string; path: string } {
  const absolute = target.startsWith('/') ? null : /^https?:\/\/([^/?#]*)(.*)$/i.exec(target);
  if (absolute === null) return { host: hostHeader ?? '', path: target };
  const [, host = '', rest = ''] = absolute;
  return { host, path: rest.startsWith('/') ? rest : `/${rest}` };
}
