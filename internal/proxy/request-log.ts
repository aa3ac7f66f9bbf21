// Requests and their answers in the log at level debug, in the words that people look for in a stock connector's log: did
// it arrive, which rule took it, what came back? Values of headers that may be secrets are left out.

import { type HeaderList, headerValue } from '../net/http/header-list.ts';
import type { ExchangeHead } from '../origin/exchange/exchange.ts';
import type { Logger } from '../telemetry/logger.ts';

/** Names whose values open doors. */
const secretNames =
  /^(authorization|proxy-authorization|cookie|set-cookie)$|^cf-access-|token|secret|password|api-?key/i;
/** Longest value shown: a log is no place for bodies in disguise. */
const maxValueLength = 256;

/** What both lines say about where a request went. */
export interface RequestPlace {
  readonly ruleIndex: number;
  readonly service: string;
}

export function logRequest(log: Logger, head: ExchangeHead, { ruleIndex, service }: RequestPlace): void {
  if (!log.isLevelEnabled('debug')) return;
  const fields = {
    event: 1,
    cfRay: requestIdOf(head),
    ingressRule: ruleIndex,
    originService: service,
    host: head.host,
    path: head.path,
    'content-length': head.bodyLength,
    headers: shownHeaders(head.headers),
  };
  log.debug(fields, `${head.method} ${head.scheme}://${head.host}${head.path} HTTP/1.1`);
}

export function logResponse(
  log: Logger,
  head: ExchangeHead,
  { status, headers }: { readonly status: number; readonly headers: HeaderList },
  place: RequestPlace,
): void {
  if (!log.isLevelEnabled('debug')) return;
  const length = headerValue(headers, 'content-length');
  const fields = {
    event: 1,
    cfRay: requestIdOf(head),
    ingressRule: place.ruleIndex,
    originService: place.service,
    'content-length': length === undefined ? -1 : Number(length),
  };
  log.debug(fields, `Response ${status}`);
}

/** The id that the edge gave the request, and its log and its answers know it by (docs/headers.md). */
export function requestIdOf({ headers }: ExchangeHead): string | undefined {
  // It comes from the network.
  return headerValue(headers, 'cf-ray')?.slice(0, maxIdLength);
}

/** Twice what Cloudflare's have with the name of its place. */
const maxIdLength = 40;

/** By name; a repeated one as a list. */
function shownHeaders(headers: HeaderList): Readonly<Record<string, string>> {
  const shown: Record<string, string> = {};
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? '';
    const value = secretNames.test(name) ? '(not shown)' : (headers[index + 1] ?? '').slice(0, maxValueLength);
    shown[name] = shown[name] === undefined ? value : `${shown[name]}, ${value}`;
  }
  return shown;
}
