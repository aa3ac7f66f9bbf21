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
import { BackwardWriter, wire } from './protobuf-writer.ts';
import type { AttributeValue, Span, SpanEvent } from './span.ts';

export function encodeTracesData(spans: readonly Span[], { resource, version }: Exporting): Buffer {
  const out = new BackwardWriter();
  for (const [service, list] of byService(spans)) {
    out.message(1, () => {
      out.message(2, () => {
        for (let index = list.length - 1; index >= 0; index -= 1) encodeSpan(out, list[index] as Span);
        out.message(1, () => {
          out.text(2, version);
          out.text(1, scopeName);
        });
      });
      out.message(1, () => encodeAttributes(out, 1, service === undefined ? resource : { 'service.name': service }));
    });
  }
  return out.bytes;
}

function encodeSpan(out: BackwardWriter, span: Span): void {
  const { error, events, parentId } = span;
  out.message(2, () => {
    if (error !== undefined)
      out.message(15, () => {
        out.varint(3, 2);
        out.text(2, error);
      });
    for (let index = events.length - 1; index >= 0; index -= 1) {
      const { atMs, name } = events[index] as SpanEvent;
      out.message(11, () => {
        out.text(2, name);
        out.fixed64(1, nanoseconds(atMs));
      });
    }
    encodeAttributes(out, 9, span.attributes);
    out.fixed64(8, nanoseconds(span.endMs));
    out.fixed64(7, nanoseconds(span.startMs));
    out.varint(6, span.kind);
    out.text(5, span.name);
    if (parentId !== '') out.hex(4, parentId);
    out.hex(2, span.spanId);
    out.hex(1, span.traceId);
  });
}

function encodeAttributes(out: BackwardWriter, field: number, list: Readonly<Record<string, AttributeValue>>): void {
  for (const [key, value] of Object.entries(list).reverse())
    out.message(field, () => {
      out.message(2, () => encodeValue(out, value));
      out.text(1, key);
    });
}

function encodeValue(out: BackwardWriter, value: AttributeValue): void {
  if (typeof value === 'string') out.text(1, value);
  else if (typeof value === 'boolean') out.varint(2, value ? 1 : 0);
  else if (Number.isSafeInteger(value)) out.varint(3, value);
  else out.double(4, value);
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
  /** Tags and lengths: below 2^28, and without the cost of a BigInt. */
  const readSmall = (): number => {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = data[at];
      if (byte === undefined) break;
      at += 1;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw malformed('a tag or a length that is too long');
  };
  const take = (length: number): number => {
    const from = at;
    if (length > data.length - at) throw malformed('a field that is longer than its message');
    at += length;
    return from;
  };
  while (at < data.length) {
    const head = readSmall();
    const field = head >> 3;
    if (field === 0) throw malformed('a field without a number');
    switch (head & 7) {
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
        const from = take(readSmall());
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
