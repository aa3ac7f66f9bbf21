// The headers of a request on its way to an HTTP origin, and the checks that keep one visitor's bytes from becoming
// another's request. Source: docs/protocol/ingress-and-origin.md §8.1; RFC 9112 §6.3 (framing), RFC 9110 §5.5 (field
// values).
//
// Accept-Encoding is passed on untouched. The recorded connector adds `gzip` and unpacks the answer when the visitor sent
// none; that costs CPU and changes Content-Length and ETag semantics for nothing, so we leave it out on purpose.

import type { HeaderList } from '../../net/http/header-list.ts';
import type { ExchangeHead } from '../exchange/exchange.ts';
import { requestRejected } from '../exchange/failure.ts';

/** What a rule changes in the headers of its requests. */
export interface HeaderPolicy {
  /** Replaces Host when not ''; the received one then goes into X-Forwarded-Host. */
  readonly hostHeader: string;
  /** Appended to every request: `Cf-Warp-Tag-Id` and the tags of the command line. */
  readonly tags: HeaderList;
}

export interface ForwardedHeaders {
  /** Flat list; neither Host nor framing nor Connection nor Expect is in it. */
  readonly headers: string[];
  /** The visitor asked with `Expect: 100-continue`. */
  readonly expectContinue: boolean;
}

/** `Cf-Warp-Tag-Id: <connector>` and one header a `--tag KEY=VALUE`. */
export function createTagHeaders(connectorId: string, tags: Readonly<Record<string, string>>): HeaderList {
  const list: string[] = [];
  for (const [key, value] of Object.entries(tags)) list.push(`Cf-Warp-Tag-${key}`, value);
  list.push('Cf-Warp-Tag-Id', connectorId);
  return list;
}

/** Host to send: configured, else as received, else the origin's own address (HTTP/1.1 demands one). */
export function hostOf(head: ExchangeHead, policy: HeaderPolicy, fallback: string): string {
  const host = policy.hostHeader !== '' ? policy.hostHeader : head.host !== '' ? head.host : fallback;
  checkHost(host);
  // Goes into X-Forwarded-Host where the policy replaces it.
  if (host !== head.host) checkHost(head.host);
  return host;
}

function checkHost(host: string): void {
  if (badHost.test(host)) throw requestRejected(`Host ${JSON.stringify(host)} holds a character that no host may hold`);
}

/**
 * The visitor's headers without Host, framing, Connection and what the tunnel itself added, plus the policy's own.
 * Throws 'protocol.malformed' for a name or value that HTTP does not allow and for framing that can be read in two ways.
 */
export function forwardHeaders(head: ExchangeHead, policy: HeaderPolicy): ForwardedHeaders {
  const out: string[] = [];
  const { headers } = head;
  let expectContinue = false;
  let contentLength: string | undefined;
  let chunked = false;
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] as string;
    const value = headers[index + 1] as string;
    if (badValue.test(value))
      throw requestRejected(`header ${JSON.stringify(name)} has a control character in its value`);
    switch (removed.get(name) ?? removed.get(name.toLowerCase())) {
      case undefined:
        if (badName.test(name) || name === '') throw requestRejected(`${JSON.stringify(name)} is not a header name`);
        out.push(name, value);
        break;
      case 'content-length':
        if (!digits.test(value) || (contentLength !== undefined && contentLength !== value))
          throw requestRejected(`Content-Length ${JSON.stringify(value)} is not one decimal number`);
        contentLength = value;
        break;
      case 'transfer-encoding':
        if (value.toLowerCase() !== 'chunked' || chunked)
          throw requestRejected(`Transfer-Encoding ${JSON.stringify(value)} where only chunked is known`);
        chunked = true;
        break;
      case 'expect':
        expectContinue = value.toLowerCase() === '100-continue';
        break;
      case 'websocket-version':
        if (head.kind !== 'websocket') out.push(name, value);
        break;
      case 'forwarded-host':
        if (policy.hostHeader === '') out.push(name, value);
        break;
      default:
        break;
    }
  }
  if (head.kind === 'http') checkFraming(head, contentLength, chunked);
  if (policy.hostHeader !== '') out.push('X-Forwarded-Host', head.host);
  for (const tag of policy.tags) out.push(tag);
  return { headers: out, expectContinue };
}

/** Method, and path in origin form, or `*` of an OPTIONS (RFC 9112 §3.2.4). Throws 'protocol.malformed'. */
export function checkTarget(head: ExchangeHead): void {
  if (badName.test(head.method) || head.method === '' || head.method === 'CONNECT')
    throw requestRejected(`method ${JSON.stringify(head.method)} cannot be forwarded`);
  if (head.path === '*' && head.method === 'OPTIONS') return;
  if (head.path.charCodeAt(0) !== 47 || badPath.test(head.path))
    throw requestRejected('the path must begin with / and hold no space or control character');
}

function checkFraming(head: ExchangeHead, contentLength: string | undefined, chunked: boolean): void {
  if (contentLength === undefined) return;
  if (chunked) throw requestRejected('both Content-Length and Transfer-Encoding are present');
  if (Number(contentLength) !== head.bodyLength)
    throw requestRejected(`Content-Length ${contentLength} contradicts the length of the stream`);
}

type Removed = 'drop' | 'expect' | 'websocket-version' | 'content-length' | 'transfer-encoding' | 'forwarded-host';

/** Lower-case names that are not simply passed on. */
const removed: ReadonlyMap<string, Removed> = new Map([
  ['cf-cloudflared-proxy-connection-upgrade', 'drop'],
  ['cf-trace-id', 'drop'],
  ['connection', 'drop'],
  ['content-length', 'content-length'],
  ['expect', 'expect'],
  ['host', 'drop'],
  ['keep-alive', 'drop'],
  ['proxy-connection', 'drop'],
  ['sec-websocket-version', 'websocket-version'],
  ['transfer-encoding', 'transfer-encoding'],
  ['upgrade', 'drop'],
  ['x-forwarded-host', 'forwarded-host'],
]);

const digits = /^[0-9]{1,15}$/;
const badName = /[^!#$%&'*+\-.^_`|~0-9A-Za-z]/;
const badValue = /[^\t\x20-\x7e\x80-\xff]/;
const badPath = /[^\x21-\x7e\x80-\xff]/;
const badHost = /[^\x21-\x2b\x2d-\x2e\x30-\x7e\x80-\xff]/;
