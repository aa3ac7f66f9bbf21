// Traces of visitors' requests as a feature of an edge, there only where traces are exported. A request's span has as parent
// what the visitor names in `traceparent`; the connector and the origin get this span as theirs. What a connector that
// exports nothing itself reports of its part is taken into the trace, as far as it belongs there.

import { hostOf } from '../../net/address/host-port.ts';
import type { TunnelId } from '../../schema/api/id.ts';
import type { MetricFamily } from '../../telemetry/metrics.ts';
import { decodeTracesData, maxReported } from '../../telemetry/tracing/otlp-protobuf.ts';
import type { ActiveSpan, Span } from '../../telemetry/tracing/span.ts';
import { formatEdgeTrace } from '../../telemetry/tracing/trace-context.ts';
import { readTraceparent, shownMethod, shownPath, withTraceparent } from '../../telemetry/tracing/trace-headers.ts';
import type { Tracer } from '../../telemetry/tracing/tracer.ts';
import type { BodyBytes, ResponseEnd, ResponseObserver } from '../../visitors/observed-response.ts';
import type { HostnameTable } from '../../visitors/routing/hostname-table.ts';
import type { VisitorRequest, VisitorStep } from '../../visitors/visitor.ts';

export interface RequestTraces extends AsyncDisposable {
  readonly steps: readonly VisitorStep[];
  readonly metrics: readonly MetricFamily[];
}

/** Reported spans are of this service: connectors are others' programs, and must not pose as another service. */
const reportingService = 'connector';

/** The tracer is closed with it. */
export function openRequestTraces(parts: {
  readonly tracer: Tracer;
  readonly hostnames: HostnameTable;
}): RequestTraces {
  const { hostnames, tracer } = parts;
  const step: VisitorStep = (request, response, next) => {
    const parent = readTraceparent(request.headers);
    const route = hostnames.routeOf(request.host);
    const method = shownMethod(request.method);
    const span = tracer.start(route === undefined ? method : `${method} ${route.hostname}`, parent);
    const { context } = span;
    if (context.isSampled) {
      describe(span, request);
      response.observe(new SpanWatch(span, tracer, route?.tunnelId));
    }
    const headers = withTraceparent(request.headers, context, parent === undefined);
    const trace = context.isSampled ? formatEdgeTrace(context) : undefined;
    next({ ...request, headers, trace }, response);
  };
  return { steps: [step], metrics: tracer.metrics, [Symbol.asyncDispose]: () => tracer[Symbol.asyncDispose]() };
}

function describe(span: ActiveSpan, { host, id, method, path, remoteAddress, scheme }: VisitorRequest): void {
  span.set('http.request.method', shownMethod(method));
  span.set('url.scheme', scheme);
  span.set('url.path', shownPath(path));
  span.set('server.address', hostOf(host).slice(0, 255));
  span.set('client.address', remoteAddress);
  span.set('postern.request_id', id);
}

class SpanWatch implements ResponseObserver {
  readonly #span: ActiveSpan;
  readonly #tracer: Tracer;
  readonly #tunnelId: TunnelId | undefined;
  #status = 0;

  constructor(span: ActiveSpan, tracer: Tracer, tunnelId: TunnelId | undefined) {
    this.#span = span;
    this.#tracer = tracer;
    this.#tunnelId = tunnelId;
  }

  carried(): void {
    this.#span.event('handed to a connection');
  }

  reported(text: string): void {
    for (const span of readReport(text, this.#span)) {
      const attributes = { ...span.attributes, 'postern.tunnel_id': this.#tunnelId ?? '' };
      this.#tracer.add({ ...span, attributes, service: reportingService });
    }
  }

  head<List extends readonly string[]>(status: number, headers: List): List {
    this.#status = status;
    this.#span.event('head of the answer');
    return headers;
  }

  ended(how: ResponseEnd, { bytesUp, bytesDown }: BodyBytes): void {
    const span = this.#span;
    if (this.#status !== 0) span.set('http.response.status_code', this.#status);
    span.set('http.request.body.size', bytesUp);
    span.set('http.response.body.size', bytesDown);
    if (how === 'gone') span.set('error.type', 'gone');
    else if (how === 'failed') span.fail('the answer broke off');
    else if (this.#status >= 500) span.fail(`status ${this.#status}`);
    span.end();
  }
}

/** The spans of a report that belong below `span`; none of one that cannot be read, which harms nobody. */
function readReport(text: string, span: ActiveSpan): readonly Span[] {
  if (text.length > (maxReported.bytes * 4) / 3) return [];
  const { spanId, traceId } = span.context;
  let spans: readonly Span[];
  try {
    spans = decodeTracesData(Buffer.from(text, 'base64'));
  } catch {
    return [];
  }
  const own = spans.filter(reported => reported.traceId === traceId && reported.spanId !== spanId);
  const ids = new Set(own.map(reported => reported.spanId));
  return own.map(reported => ({ ...reported, parentId: ids.has(reported.parentId) ? reported.parentId : spanId }));
}
