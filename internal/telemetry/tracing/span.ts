// One step of a trace: what is recorded of it, and while it runs. Names of attributes are OpenTelemetry's ("Semantic
// conventions for HTTP spans"), and ours begin with `postern.`.

import type { TraceContext } from './trace-context.ts';

export type AttributeValue = string | number | boolean;

/** Numbers as in OTLP. */
export const spanKinds = { internal: 1, server: 2, client: 3 } as const;

export interface SpanEvent {
  readonly name: string;
  /** As `startMs`. */
  readonly atMs: number;
}

/** A step that is over. */
export interface Span {
  /** 32 and 16 hex digits. */
  readonly traceId: string;
  readonly spanId: string;
  /** '' = the trace begins here. */
  readonly parentId: string;
  readonly name: string;
  readonly kind: number;
  /** Since the epoch, with fractions. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  readonly events: readonly SpanEvent[];
  /** Why it failed; undefined = it did not. */
  readonly error?: string | undefined;
  /** Name of the service whose span it is, where that is not the one that exports. */
  readonly service?: string | undefined;
}

/** Takes spans that are over. Must not throw. */
export interface SpanSink {
  add(span: Span): void;
}

/** Events of one span: a request that is tried again has few. */
const maxEvents = 32;

/** A step that runs. One that is not sampled gives its context and records nothing. */
export class ActiveSpan {
  readonly context: TraceContext;
  readonly #name: string;
  readonly #parentId: string;
  readonly #sink: SpanSink | undefined;
  readonly #startMs = wallClockMs();
  readonly #attributes: Record<string, AttributeValue> = {};
  readonly #events: SpanEvent[] = [];
  #error: string | undefined;
  #ended = false;

  /** `sink` gets it when it ends. */
  constructor(name: string, context: TraceContext, parent: TraceContext | undefined, sink: SpanSink | undefined) {
    this.#name = name;
    this.context = context;
    this.#parentId = parent?.spanId ?? '';
    this.#sink = sink;
  }

  set(name: string, value: AttributeValue): void {
    if (this.context.isSampled) this.#attributes[name] = value;
  }

  event(name: string): void {
    if (this.context.isSampled && this.#events.length < maxEvents) this.#events.push({ name, atMs: wallClockMs() });
  }

  /** `text` names what went wrong, without secrets: it goes to the collector. */
  fail(text: string): void {
    this.#error ??= text;
  }

  /** Idempotent. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.context.isSampled) this.#sink?.add(this.soFar());
  }

  /** As if it ended now. */
  soFar(): Span {
    return {
      traceId: this.context.traceId,
      spanId: this.context.spanId,
      parentId: this.#parentId,
      name: this.#name,
      kind: spanKinds.server,
      startMs: this.#startMs,
      endMs: wallClockMs(),
      attributes: { ...this.#attributes },
      events: [...this.#events],
      error: this.#error,
    };
  }
}

let epochMs = performance.timeOrigin;
/** How far the clock may have been set before times follow it: well above what a busy loop is late. */
const maxDriftMs = 50;

/** Now with fractions of a millisecond: by the steady clock, which follows when the system's was set or the machine slept. */
function wallClockMs(): number {
  const tickMs = performance.now();
  const nowMs = Date.now();
  if (Math.abs(epochMs + tickMs - nowMs) > maxDriftMs) epochMs = nowMs - tickMs;
  return epochMs + tickMs;
}
