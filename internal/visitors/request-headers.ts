// The headers a connector gets: the visitor's, less what belongs to this hop or to the protocol, plus who the visitor is.
// Source: docs/protocol/ingress-and-origin.md §8.1 (the edge adds these), docs/protocol/edge-protocol.md §10.1 item 6;
// RFC 9110 §7.6.1.

import type { HeaderList } from '../net/http/header-list.ts';
import { isHopByHop, withoutHopByHop } from '../net/http/hop-by-hop.ts';
import { edgeTraceHeader } from '../telemetry/tracing/trace-context.ts';
import { isProtocolHeader } from '../wire/stream/response-headers.ts';
import { requestIdHeader } from './request-id.ts';
import type { VisitorRequest } from './visitor.ts';

/**
 * What origins take for the word of a proxy about the visitor; from the visitor itself it would let it pose as another. The
 * edge sets some of these, and the rest reach no origin. `Proxy` becomes HTTP_PROXY in CGI programs.
 */
const edgeOwned = new Set([
  'host',
  'te',
  requestIdHeader.toLowerCase(),
  edgeTraceHeader,
  'forwarded',
  'proxy',
  'true-client-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-real-ip',
]);
/**
 * Credentials of a visitor, which whoever reads them checks, and the destination that it asks a jump host for; all other
 * `Cf-` fields are said by the edge or by nobody.
 */
const visitorsOwn = new Set([
  'cf-access-client-id',
  'cf-access-client-secret',
  'cf-access-jump-destination',
  'cf-access-jwt-assertion',
  'cf-access-token',
]);

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
    if (lower === 'x-forwarded-for') forwardedFor = forwardedFor === '' ? value : `${forwardedFor}, ${value}`;
    else if (isEdges(lower) || isDisguised(lower)) continue;
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
    'Cf-Visitor',
    visitorSchemes[request.scheme],
    'Cf-Ray',
    request.id,
  );
  if (request.trace !== undefined) headers.push('Cf-Trace-Id', request.trace);
  return headers;
}

/** What Cloudflare's edge says of the visitor's scheme, and origins behind it read. */
const visitorSchemes = { http: '{"scheme":"http"}', https: '{"scheme":"https"}' } as const;

function isEdges(lower: string): boolean {
  if (lower.startsWith('cf-')) return !visitorsOwn.has(lower);
  return edgeOwned.has(lower) || lower.startsWith('x-forwarded-') || isProtocolHeader(lower);
}

/** CGI and its heirs read `_` as `-`: such a name would reach them as one that only the edge may set. */
function isDisguised(lower: string): boolean {
  if (!lower.includes('_')) return false;
  const plain = lower.replaceAll('_', '-');
  return isEdges(plain) || isHopByHop(plain);
}
