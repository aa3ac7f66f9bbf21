// Headers that concern one hop only and are not passed on. Source: RFC 9110 §7.6.1, docs/protocol/edge-protocol.md
// §10.1 item 6.

const hopByHop = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'te',
  'trailer',
  'proxy-authenticate',
  'proxy-authorization',
]);

/** Whether a header of this name, in any case, ends at this hop. `te` is among them although `te: trailers` may pass. */
export function isHopByHop(name: string): boolean {
  return hopByHop.has(name) || hopByHop.has(name.toLowerCase());
}

/**
 * A flat list [name, value, …] without the headers of this hop: the fixed ones and those that `Connection` names.
 * Returns the same list when there are none.
 */
export function withoutHopByHop(headers: readonly string[]): readonly string[] {
  let named: Set<string> | undefined;
  let found = false;
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? '';
    if (!isHopByHop(name)) continue;
    found = true;
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue;
    named ??= new Set();
    for (const token of (headers[index + 1] ?? '').split(',')) named.add(token.trim().toLowerCase());
  }
  if (!found) return headers;
  const kept: string[] = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? '';
    if (isHopByHop(name) || named?.has(name.toLowerCase()) === true) continue;
    kept.push(name, headers[index + 1] ?? '');
  }
  return kept;
}
