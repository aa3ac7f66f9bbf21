// What host and path a visitor may ask for. Strict, because edge, connector and origin must all read the same thing.
// Source: RFC 9112 §3.2 (forms of the target), RFC 3986 §3.2; RFC 9113 §8.3.1.

/** Name or address with an optional port: nothing that could end a line, a host or a user's name in it. */
const authority = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::\d{1,5})?$/;
/** Visible ASCII without `#`: a fragment never leaves a client, and readers disagree about one that did. */
const originForm = /^\/[\x21\x22\x24-\x7e]*$/;

export function isAuthority(text: string): boolean {
  return authority.test(text);
}

/** Path with query, or the `*` of an OPTIONS that asks about the server as a whole. */
export function isTarget(method: string, text: string): boolean {
  return originForm.test(text) || (text === '*' && method === 'OPTIONS');
}
