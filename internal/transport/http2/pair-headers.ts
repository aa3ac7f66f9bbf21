// Flat header lists as the objects that node:http2 wants for trailers.

import type { HeaderList } from '../transport.ts';

/** Names in lower case; repeated ones become arrays. */
export function pairHeaders(list: HeaderList): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (let index = 0; index + 1 < list.length; index += 2) {
    const name = (list[index] ?? '').toLowerCase();
    const value = list[index + 1] ?? '';
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  return headers;
}
