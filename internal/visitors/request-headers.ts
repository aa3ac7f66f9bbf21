// The headers a connector gets: the visitor's, less what belongs to this hop or to the protocol, plus who the visitor is.
// Source: spec ingress-and-origin §8.1 (the edge adds these), edge-protocol §10.1 item 6; RFC 9110 §7.6.1.

import { randomBytes } from 'node:crypto';
import type { HeaderList } from '../transport/transport.ts';
import { isHopByHop, withoutHopByHop } from '../wire/hop-by-hop.ts';
import { isProtocolHeader } from '../wire/response-headers.ts';
import { traceHeader } from '../wire/upgrade-header.ts';
import type { VisitorRequest } from './visitor.ts';

/** Set by the edge alone: a visitor's own values would let it pose as another. */
const edgeOwned = new Set(['host', 'x-forwarded-proto', 'cf-connecting-ip', 'cf-ray', 'x-real-ip', traceHeader, 'te']);

/** Names are given as the visitor wrote them. */
export function requestHeaders(request: VisitorRequest): HeaderList {
  const given = withoutHopByHop(request.headers);
  const headers: string[] = [];
  const cookies: string[] = [];
  let forwardedFor = '';
  let acceptsTrailers = false;
  for (let index = 0; index + 1 < request.headers.length; index += 2) {
    if (request.headers[index]?.toLowerCase() === 'te')
      acceptsTrailers ||= /\btrailers\b/i.test(request.headers[index + 1] ?? '');
  }
  for (let index = 0; index + 1 < given.length; index += 2) {
    const name = given[index] ?? '';
    const value = given[index + 1] ?? '';
    const lower = name.toLowerCase();
    if (edgeOwned.has(lower) || isProtocolHeader(lower) || isDisguised(lower)) continue;
    if (lower === 'x-forwarded-for') forwardedFor = forwardedFor === '' ? value : `${forwardedFor}, ${value}`;
    else if (lower === 'cookie') cookies.push(value);
    else headers.push(name, value);
  }
  // HTTP/2 visitors may split Cookie; HTTP/1.1 origins want one (RFC 9113 §8.2.3).
  if (cookies.length > 0) headers.push('Cookie', cookies.join('; '));
  if (acceptsTrailers) headers.push('TE', 'trailers');
  headers.push(
    'X-Forwarded-For',
    forwardedFor === '' ? request.remoteAddress : `${forwardedFor}, ${request.remoteAddress}`,
    'X-Forwarded-Proto',
    request.scheme,
    'Cf-Connecting-Ip',
    request.remoteAddress,
    'Cf-Ray',
    nextRay(),
  );
  return headers;
}

/** CGI and its heirs read `_` as `-`: such a name would reach them as one that only the edge may set. */
function isDisguised(lower: string): boolean {
  if (!lower.includes('_')) return false;
  const plain = lower.replaceAll('_', '-');
  return edgeOwned.has(plain) || isProtocolHeader(plain) || plain === 'x-forwarded-for' || isHopByHop(plain);
}

const rayPrefix = randomBytes(4).toString('hex');
let rayCount = randomBytes(4).readUInt32BE();

/** An id for one request, for logs at both ends: unique within this process, 16 hex digits. */
function nextRay(): string {
  rayCount = (rayCount + 1) >>> 0;
  return rayPrefix + rayCount.toString(16).padStart(8, '0');
}
