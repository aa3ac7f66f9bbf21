// What of a connector's answer a visitor may get: the origin is the tunnel owner's, the visitor's connection is not, so
// nothing that frames a message is taken on trust. Source: RFC 9110 §6.5.1 (trailers), §8.6 (Content-Length), §15.2.

import { PosternError } from '../errors/error.ts';
import { isToken } from '../net/http/field-name.ts';
import type { HeaderList } from '../net/http/header-list.ts';
import { isHopByHop, withoutHopByHop } from '../net/http/hop-by-hop.ts';
import type { EdgeResponse } from '../transport/transport.ts';

export interface VisitorHead {
  readonly headers: HeaderList;
  /** Length that the body must have in bytes; -1 unknown. Meaningless for answers without a body. */
  readonly length: number;
}

/** What ends a line or a string: RFC 9110 §5.5 allows tabs, visible and high characters. */
const notText = /[^\t\x20-\x7e\x80-\xff]/;
/** Names that frame or route a message and so mean nothing, or harm, after its body. */
const noTrailers = new Set([
  'content-length',
  'host',
  'content-encoding',
  'content-type',
  'content-range',
  'set-cookie',
]);

/** Throws 'protocol.malformed' for a status that ends no request and for lengths that contradict each other. */
export function visitorHead(answer: EdgeResponse): VisitorHead {
  const { status } = answer;
  if (!(status >= 200 && status <= 999)) throw malformed(`the status ${status}`);
  const headers = withoutHopByHop(answer.headers);
  let text: string | undefined;
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? '';
    if (!isToken(name)) throw malformed('a header name that is none');
    if (notText.test(headers[index + 1] ?? '')) throw malformed('a header value with control characters');
    if (name.length !== 14 || name.toLowerCase() !== 'content-length') continue;
    const value = headers[index + 1] ?? '';
    if (text !== undefined || !/^\d{1,15}$/.test(value)) throw malformed('a Content-Length that is not one number');
    text = value;
  }
  if (text === undefined) return { headers, length: -1 };
  // RFC 9110 §8.6 forbids it there, and old clients would wait for the bytes.
  if (status === 204) return { headers: without(headers, 'content-length'), length: 0 };
  return { headers, length: Number(text) };
}

/** What accompanies a 101 beside the headers of the upgrade itself. Throws 'protocol.malformed' for what is no header. */
export function upgradeHeaders(headers: HeaderList): HeaderList {
  const kept = without(withoutHopByHop(headers), 'content-length');
  for (let index = 0; index + 1 < kept.length; index += 2) {
    // Nobody else checks these: the head of a 101 is written by hand.
    if (!isToken(kept[index] ?? '')) throw malformed('a header name that is none');
    if (notText.test(kept[index + 1] ?? '')) throw malformed('a header value with control characters');
  }
  return kept;
}

/** Trailers that may follow a response. Returns the same list when all may. */
export function visitorTrailers(trailers: HeaderList): HeaderList {
  let kept = trailers;
  for (let index = 0; index + 1 < trailers.length; index += 2) {
    const name = (trailers[index] ?? '').toLowerCase();
    const isField = isToken(name) && !notText.test(trailers[index + 1] ?? '');
    if (!isField || noTrailers.has(name) || isHopByHop(name)) kept = without(kept, name);
  }
  return kept;
}

function without(list: HeaderList, unwanted: string): HeaderList {
  const kept: string[] = [];
  for (let index = 0; index + 1 < list.length; index += 2) {
    const name = list[index] ?? '';
    if (name.toLowerCase() !== unwanted) kept.push(name, list[index + 1] ?? '');
  }
  return kept;
}

function malformed(what: string): PosternError {
  return new PosternError('protocol.malformed', `The answer of the connector has ${what}.`);
}
