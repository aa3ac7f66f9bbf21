// The trace of one request at the connector: its span, the context that the origin gets, and what the edge is told. A
// connector that exports traces keeps its spans to itself; another one reports them to an edge that asks for them, as
// cloudflared does. Source: docs/protocol/edge-protocol.md §12.

import type { PosternError } from '../errors/error.ts';
import { headerValue } from '../net/http/header-list.ts';
import type { ExchangeHead } from '../origin/exchange/exchange.ts';
import { encodeTracesData } from '../telemetry/tracing/otlp-protobuf.ts';
import { ActiveSpan } from '../telemetry/tracing/span.ts';
import { childContext, edgeTraceHeader, parseEdgeTrace } from '../telemetry/tracing/trace-context.ts';
import { readTraceparent, shownMethod, shownPath, withTraceparent } from '../telemetry/tracing/trace-headers.ts';
import type { Tracer } from '../telemetry/tracing/tracer.ts';
import { type RequestPlace, requestIdOf } from './request-log.ts';

/** Of reports. The edge knows whose connection they came over. */
const reporting = { resource: { 'service.name': 'postern-connector' }, version: '' };

/** Begins the span of a request; undefined when nobody traces it. Costs a look at the names of headers then. */
export function beginTrace(
  tracer: Tracer | undefined,
  head: ExchangeHead,
  place: RequestPlace,
): RequestTrace | undefined {
  const text = headerValue(head.headers, edgeTraceHeader);
  if (tracer === undefined && text === undefined) return undefined;
  const asked = text === undefined ? undefined : parseEdgeTrace(text);
  if (tracer !== undefined) {
    const parent = asked ?? readTraceparent(head.headers);
    return new RequestTrace(tracer.start(shownMethod(head.method), parent), parent === undefined, false, head, place);
  }
  if (asked?.isSampled !== true) return undefined;
  const span = new ActiveSpan(shownMethod(head.method), childContext(asked, true), asked, undefined);
  return new RequestTrace(span, false, true, head, place);
}

export class RequestTrace {
  /** As the origin is to get it. */
  readonly head: ExchangeHead;
  readonly #span: ActiveSpan;
  readonly #isReported: boolean;

  /** Use beginTrace. */
  constructor(span: ActiveSpan, isNewTrace: boolean, isReported: boolean, head: ExchangeHead, place: RequestPlace) {
    this.head = { ...head, headers: withTraceparent(head.headers, span.context, isNewTrace) };
    this.#span = span;
    this.#isReported = isReported;
    if (!span.context.isSampled) return;
    span.set('http.request.method', shownMethod(head.method));
    span.set('url.scheme', head.scheme);
    span.set('url.path', shownPath(head.path));
    span.set('server.address', head.host.slice(0, 255));
    span.set('postern.ingress_rule', place.ruleIndex);
    span.set('postern.origin_service', place.service);
    const requestId = requestIdOf(head);
    if (requestId !== undefined) span.set('postern.request_id', requestId);
  }

  /** The head of the answer is about to be sent. Returns what goes to the edge with it, '' for nothing: base64 of OTLP. */
  responded(status: number): string {
    const span = this.#span;
    span.set('http.response.status_code', status);
    if (status >= 500) span.fail(`status ${status}`);
    if (this.#isReported) return encodeTracesData([span.soFar()], reporting).toString('base64');
    span.event('head of the answer');
    return '';
  }

  failed(error: PosternError): void {
    this.#span.set('error.type', error.code);
    if (error.kind.scope !== 'visitor') this.#span.fail(error.message);
  }

  ended(bytesUp: number, bytesDown: number): void {
    this.#span.set('http.request.body.size', bytesUp);
    this.#span.set('http.response.body.size', bytesDown);
    this.#span.end();
  }
}
