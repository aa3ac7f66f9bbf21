// Begins spans. There is one of these where traces are exported, and none otherwise.

import type { MetricFamily } from '../metrics.ts';
import type { Sampler } from './sampler.ts';
import { ActiveSpan, type Span, type SpanSink } from './span.ts';
import { childContext, type TraceContext } from './trace-context.ts';

/** Closes with the program that it traces. */
export interface Tracer extends AsyncDisposable {
  /** A span that begins now, below `parent`; undefined = in a trace of its own. */
  start(name: string, parent: TraceContext | undefined): ActiveSpan;
  /** A span that another program recorded and reported. */
  add(span: Span): void;
  readonly metrics: readonly MetricFamily[];
}

/** Where the tracer puts spans; OtlpExporter is the implementation. */
export interface SpanExporter extends SpanSink, AsyncDisposable {
  readonly metrics: readonly MetricFamily[];
}

/** The exporter is closed with it. */
export function createTracer(sampler: Sampler, exporter: SpanExporter): Tracer {
  return {
    start(name, parent) {
      const context = childContext(parent, false);
      const isSampled = sampler(context.traceId, parent);
      return new ActiveSpan(name, isSampled ? { ...context, isSampled } : context, parent, exporter);
    },
    add: span => exporter.add(span),
    metrics: exporter.metrics,
    [Symbol.asyncDispose]: () => exporter[Symbol.asyncDispose](),
  };
}
