// Which trailers of a request may be passed on. Source: RFC 9110 §6.5.1 (nothing that frames, routes, authenticates,
// conditions or describes the message); the list is the one by which Go's HTTP/2 server resets a stream. Trailers travel
// over HTTP/2 only: the data streams of QUIC have no place for them (spec edge-protocol §9.3.1), and the recorded peer
// drops those of requests on either transport.

import { isHopByHop } from './hop-by-hop.ts';

const forbidden = new Set([
  'authorization',
  'cache-control',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'expect',
  'host',
  'max-forwards',
  'pragma',
  'range',
  'realm',
  'set-cookie',
  'www-authenticate',
]);
/** Who the visitor is and how it came: as headers they are the edge's alone, and some origins take trailers for headers. */
const owned = /^(?:cf-|x-forwarded-|x-real-ip$|forwarded$|if-|proxy-|sec-)/;
const token = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const notText = /[^\t\x20-\x7e\x80-\xff]/;
/** As many as a request may have; each is a small string here. */
const maxTrailers = 128;

/** The trailers of the flat list [name, value, …] that may be passed on, names in lower case. */
export function passableTrailers(list: readonly string[]): string[] {
  const kept: string[] = [];
  for (let index = 0; index + 1 < list.length && kept.length < 2 * maxTrailers; index += 2) {
    const name = (list[index] ?? '').toLowerCase();
    const value = list[index + 1] ?? '';
    // Some origins read `_` as `-`.
    const plain = name.replaceAll('_', '-');
    if (!token.test(name) || notText.test(value) || forbidden.has(plain) || owned.test(plain) || isHopByHop(plain))
      continue;
    kept.push(name, value);
  }
  return kept;
}
