// Spans as OTLP's `TracesData` in protobuf: what a connector reports to its edge in a header, and collectors take as well.
// Source: docs/protocol/edge-protocol.md §12; numbers of fields: opentelemetry-proto, trace/v1/trace.proto.
//
//   TracesData      1 ResourceSpans…
//   ResourceSpans   1 Resource { 1 KeyValue… }   2 ScopeSpans…
//   ScopeSpans      1 Scope { 1 name  2 version }   2 Span…
//   Span            1 trace id   2 span id   4 parent   5 name   6 kind   7 start   8 end (ns, fixed64)   9 KeyValue…
//                   11 Event { 1 time  2 name }   15 Status { 2 message  3 code }
//   KeyValue        1 key   2 AnyValue { 1 text  2 bool  3 int  4 double }

import { PosternError } from '../../errors/error.ts';
import { byService, type Exporting, nanoseconds, scopeName } from './otlp-json.ts';
import type { AttributeValue, Span, SpanEvent } from './span.ts';

export function encodeTracesData(spans: readonly Span[], { resource, version }: Exporting): Buffer {
  const scope = message(1, text(1, scopeName), text(2, version));
  return Buffer.concat(
    [...byService(spans)].map(([service, list]) =>
      message(
        1,
        message(1, ...attributes(1, service === undefined ? resource : { 'service.name': service })),
        message(2, scope, ...list.map(encodeSpan)),
      ),
    ),
  );
}

function encodeSpan(span: Span): Buffer {
  const { attributes: list, error, events, kind, name, parentId } = span;
  return message(
    2,
    bytes(1, Buffer.from(span.traceId, 'hex')),
    bytes(2, Buffer.from(span.spanId, 'hex')),
    ...(parentId === '' ? [] : [bytes(4, Buffer.from(parentId, 'hex'))]),
    text(5, name),
    varintField(6, BigInt(kind)),
    fixed64(7, nanoseconds(span.startMs)),
    fixed64(8, nanoseconds(span.endMs)),
    ...attributes(9, list),
    ...events.map(event => message(11, fixed64(1, nanoseconds(event.atMs)), text(2, event.name))),
    ...(error === undefined ? [] : [message(15, text(2, error), varintField(3, 2n))]),
  );
}

function attributes(field: number, list: Readonly<Record<string, AttributeValue>>): Buffer[] {
  return Object.entries(list).map(([key, value]) => message(field, text(1, key), message(2, anyValue(value))));
}

function anyValue(value: AttributeValue): Buffer {
  if (typeof value === 'string') return text(1, value);
  if (typeof value === 'boolean') return varintField(2, value ? 1n : 0n);
  if (Number.isSafeInteger(value)) return varintField(3, BigInt.asUintN(64, BigInt(value)));
  const double = Buffer.alloc(8);
  double.writeDoubleLE(value);
  return Buffer.concat([varint(tag(4, wire.fixed64)), double]);
}

const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

function tag(field: number, type: number): bigint {
  return BigInt(field * 8 + type);
}

function varint(value: bigint): Buffer {
  const out: number[] = [];
  let rest = value;
  while (rest > 0x7fn) {
    out.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  out.push(Number(rest));
  return Buffer.from(out);
}

function varintField(field: number, value: bigint): Buffer {
  return Buffer.concat([varint(tag(field, wire.varint)), varint(value)]);
}

function fixed64(field: number, value: bigint): Buffer {
  const number = Buffer.alloc(8);
  number.writeBigUInt64LE(BigInt.asUintN(64, value));
  return Buffer.concat([varint(tag(field, wire.fixed64)), number]);
}

function bytes(field: number, value: Buffer): Buffer {
  return Buffer.concat([varint(tag(field, wire.bytes)), varint(BigInt(value.length)), value]);
}

function text(field: number, value: string): Buffer {
  return bytes(field, Buffer.from(value, 'utf8'));
}

function message(field: number, ...parts: readonly Buffer[]): Buffer {
  return bytes(field, Buffer.concat(parts));
}

/** What one report may have: cloudflared records 20 spans of a request; the rest is room for its attributes. */
export const maxReported = { bytes: 64 * 1024, spans: 20, attributes: 32, events: 32, textLength: 1024 } as const;

/**
 * The spans of a report, of whatever service they say they are. What is beyond `maxReported` is left out; texts are cut.
 * Throws 'protocol.malformed' and 'protocol.too-large'.
 */
export function decodeTracesData(data: Uint8Array): readonly Span[] {
  if (data.length > maxReported.bytes)
    throw new PosternError(
      'protocol.too-large',
      `${data.length} bytes of spans; at most ${maxReported.bytes} are read`,
    );
  const spans: Span[] = [];
  for (const resource of fields(data)) {
    if (resource.field !== 1) continue;
    for (const scope of fields(resource.bytes)) {
      if (scope.field !== 2) continue;
      for (const span of fields(scope.bytes))
        if (span.field === 2 && spans.length < maxReported.spans) spans.push(decodeSpan(span.bytes));
    }
  }
  return spans;
}

function decodeSpan(data: Uint8Array): Span {
  let [traceId, spanId, parentId, name, kind, startMs, endMs] = ['', '', '', '', 0, 0, 0];
  let error: string | undefined;
  const list: Record<string, AttributeValue> = Object.create(null) as Record<string, AttributeValue>;
  const events: SpanEvent[] = [];
  let count = 0;
  for (const { bytes: value, field, number } of fields(data)) {
    if (field === 1) traceId = idOf(value, 16);
    else if (field === 2) spanId = idOf(value, 8);
    else if (field === 4 && value.length > 0) parentId = idOf(value, 8);
    else if (field === 5) name = textOf(value);
    else if (field === 6) kind = number >= 1n && number <= 5n ? Number(number) : 1;
    else if (field === 7) startMs = msOf(number);
    else if (field === 8) endMs = msOf(number);
    else if (field === 9 && count < maxReported.attributes) {
      count += 1;
      decodeAttribute(value, list);
    } else if (field === 11 && events.length < maxReported.events) events.push(decodeEvent(value));
    else if (field === 15) error = decodeStatus(value);
  }
  if (traceId === '' || spanId === '') throw malformed('a span without ids');
  return { traceId, spanId, parentId, name, kind, startMs, endMs, attributes: list, events, error };
}

function decodeAttribute(data: Uint8Array, into: Record<string, AttributeValue>): void {
  let key = '';
  for (const part of fields(data)) {
    if (part.field === 1) key = textOf(part.bytes);
    else if (part.field === 2)
      for (const { bytes: value, field, number } of fields(part.bytes)) {
        if (field === 1) into[key] = textOf(value);
        else if (field === 2) into[key] = number !== 0n;
        else if (field === 3) into[key] = Number(BigInt.asIntN(64, number));
        else if (field === 4) into[key] = doubleOf(number);
      }
  }
}

function decodeEvent(data: Uint8Array): SpanEvent {
  let [name, atMs] = ['', 0];
  for (const { bytes: value, field, number } of fields(data)) {
    if (field === 1) atMs = msOf(number);
    else if (field === 2) name = textOf(value);
  }
  return { name, atMs };
}

function decodeStatus(data: Uint8Array): string | undefined {
  let [said, code] = ['', 0n];
  for (const { bytes: value, field, number } of fields(data)) {
    if (field === 2) said = textOf(value);
    else if (field === 3) code = number;
  }
  return code === 2n ? said : undefined;
}

interface Field {
  readonly field: number;
  /** Of length-delimited ones; empty for others. */
  readonly bytes: Uint8Array;
  /** Of numbers; 0 for others. */
  readonly number: bigint;
}

const noBytes = new Uint8Array(0);

function* fields(data: Uint8Array): Generator<Field> {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let at = 0;
  const readVarint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = data[at];
      if (byte === undefined) break;
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw malformed('a number without an end');
  };
  const take = (length: number): number => {
    const from = at;
    if (length > data.length - at) throw malformed('a field that is longer than its message');
    at += length;
    return from;
  };
  while (at < data.length) {
    const head = readVarint();
    if (head > 0xffff_ffffn || head < 8n) throw malformed('a field without a number');
    const field = Number(head >> 3n);
    switch (Number(head & 7n)) {
      case wire.varint:
        yield { field, bytes: noBytes, number: readVarint() };
        break;
      case wire.fixed64:
        yield { field, bytes: noBytes, number: view.getBigUint64(take(8), true) };
        break;
      case wire.fixed32:
        yield { field, bytes: noBytes, number: BigInt(view.getUint32(take(4), true)) };
        break;
      case wire.bytes: {
        const length = readVarint();
        if (length > BigInt(data.length)) throw malformed('a field that is longer than its message');
        const from = take(Number(length));
        yield { field, bytes: data.subarray(from, at), number: 0n };
        break;
      }
      default:
        throw malformed('a field of an unknown kind');
    }
  }
}

function idOf(value: Uint8Array, length: number): string {
  const id = Buffer.from(value).toString('hex');
  if (value.length !== length || /^0*$/.test(id)) throw malformed('an id that is none');
  return id;
}

function textOf(value: Uint8Array): string {
  return Buffer.from(value.subarray(0, maxReported.textLength)).toString('utf8');
}

function msOf(ns: bigint): number {
  return Number(ns / 1_000n) / 1_000;
}

function doubleOf(bits: bigint): number {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(bits);
  const value = bytes.readDoubleLE();
  // JSON has no other numbers.
  return Number.isFinite(value) ? value : 0;
}

function malformed(what: string): PosternError {
  return new PosternError('protocol.malformed', `Reported spans have ${what}`);
}
