// Flat header lists as the objects that node:http2 wants for trailers.

import { isToken } from '../http/field-name.ts';
import type { HeaderList } from '../http/header-list.ts';
import { isHopByHop } from '../http/hop-by-hop.ts';

/**
 * Names in lower case; repeated ones become arrays. Fields that Node would refuse with an exception, where nobody could
 * catch it, are left out: those of one connection (RFC 9113 §8.2.2) and names that are none.
 */
export function pairHeaders(list: HeaderList): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (let index = 0; index + 1 < list.length; index += 2) {
    const name = (list[index] ?? '').toLowerCase();
    const value = list[index + 1] ?? '';
    if (!isToken(name) || isHopByHop(name)) continue;
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  return headers;
}
