// Which trace a request belongs to, and the two texts that it travels as: W3C Trace Context between programs, and the header
// between an edge and its connector. Source: docs/protocol/edge-protocol.md §12.

import { randomBytes } from 'node:crypto';

/** A span as its children know it. */
export interface TraceContext {
  /** 32 hex digits in lower case, not all 0. */
  readonly traceId: string;
  /** 16 hex digits in lower case, not all 0. */
  readonly spanId: string;
  /** Whether the trace is recorded. */
  readonly isSampled: boolean;
}

/** The headers of W3C Trace Context. */
export const traceparentHeader = 'traceparent';
export const tracestateHeader = 'tracestate';
/** From the edge to its connector; reaches no origin, and an edge takes none from a visitor. */
export const edgeTraceHeader = 'cf-trace-id';

const traceparent = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const edgeTrace = /^(?!0+:)([0-9a-f]{1,32}):(?!0+:)([0-9a-f]{1,16}):[0-9a-f]{1,16}:([0-9a-f]{1,2})$/i;

/** Undefined for what is no `traceparent`: its receiver begins a trace of its own. Later versions may have more fields. */
export function parseTraceparent(text: string): TraceContext | undefined {
  const [, version, traceId, spanId, flags, more] = traceparent.exec(text) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (version === '00' && more !== undefined) return undefined;
  return { traceId, spanId, isSampled: isOdd(flags) };
}

export function formatTraceparent({ traceId, spanId, isSampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`;
}

/** `traceid:spanid:parentid:flags`, where zeros in front may be missing. Undefined for what is none: not traced. */
export function parseEdgeTrace(text: string): TraceContext | undefined {
  const [, traceId, spanId, flags] = edgeTrace.exec(text) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return {
    traceId: traceId.toLowerCase().padStart(32, '0'),
    spanId: spanId.toLowerCase().padStart(16, '0'),
    isSampled: isOdd(flags),
  };
}

export function formatEdgeTrace({ traceId, spanId, isSampled }: TraceContext): string {
  return `${traceId}:${spanId}:0:${isSampled ? '1' : '0'}`;
}

/** A new span: in the trace of `parent`, else in one of its own. */
export function childContext(parent: TraceContext | undefined, isSampled: boolean): TraceContext {
  const digits = randomBytes(parent === undefined ? 24 : 8).toString('hex');
  // One in 2^64 would be no id.
  const spanId = digits.slice(0, 15) + (digits[15] === '0' ? '1' : digits[15]);
  return { traceId: parent?.traceId ?? digits.slice(16), spanId, isSampled };
}

function isOdd(hex: string): boolean {
  return (Number.parseInt(hex, 16) & 1) === 1;
}
