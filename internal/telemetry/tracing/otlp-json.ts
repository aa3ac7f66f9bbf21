// Spans as OTLP in JSON, as collectors take them at /v1/traces (opentelemetry-proto, "OTLP/HTTP": 64-bit numbers are texts,
// ids are hex).

import type { AttributeValue, Span } from './span.ts';

/** Who exports, beside its spans. */
export interface Exporting {
  /** Attributes of the resource; `service.name` is among them. */
  readonly resource: Readonly<Record<string, AttributeValue>>;
  /** Version of this program. */
  readonly version: string;
}

export const scopeName = 'postern';

export function encodeOtlpJson(spans: readonly Span[], { resource, version }: Exporting): string {
  return JSON.stringify({
    resourceSpans: [...byService(spans)].map(([service, list]) => ({
      resource: { attributes: attributes(service === undefined ? resource : { 'service.name': service }) },
      scopeSpans: [{ scope: { name: scopeName, version }, spans: list.map(spanOf) }],
    })),
  });
}

/** Spans by the service whose they are, undefined for the one that exports. */
export function byService(spans: readonly Span[]): ReadonlyMap<string | undefined, readonly Span[]> {
  return Map.groupBy(spans, ({ service }) => service);
}

/** `1790000000123.4` → nanoseconds. A double holds a quarter of a microsecond there, so no digit of it is lost. */
export function nanoseconds(ms: number): bigint {
  const whole = Math.floor(ms);
  return BigInt(whole) * 1_000_000n + BigInt(Math.round((ms - whole) * 1e6));
}

function spanOf(span: Span): unknown {
  const { attributes: list, error, events, kind, name, parentId, spanId, traceId } = span;
  return {
    traceId,
    spanId,
    ...(parentId === '' ? {} : { parentSpanId: parentId }),
    name,
    kind,
    startTimeUnixNano: String(nanoseconds(span.startMs)),
    endTimeUnixNano: String(nanoseconds(span.endMs)),
    attributes: attributes(list),
    events: events.map(event => ({ name: event.name, timeUnixNano: String(nanoseconds(event.atMs)) })),
    status: error === undefined ? {} : { code: 2, message: error },
  };
}

function attributes(list: Readonly<Record<string, AttributeValue>>): unknown {
  return Object.entries(list).map(([key, value]) => ({ key, value: anyValue(value) }));
}

function anyValue(value: AttributeValue): unknown {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}
