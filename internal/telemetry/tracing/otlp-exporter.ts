// Spans on their way to a collector: gathered, sent in batches one after the other, and dropped and counted when there are too
// many. Nothing here makes a request wait. Numbers: OpenTelemetry's defaults of its batch processor.

import { describeError } from '../../errors/error.ts';
import type { Logger } from '../logger.ts';
import { counter, type MetricFamily } from '../metrics.ts';
import { type Exporting, encodeOtlpJson } from './otlp-json.ts';
import { encodeTracesData } from './otlp-protobuf.ts';
import { OtlpSender, type SenderOptions } from './otlp-sender.ts';
import type { Span } from './span.ts';
import type { SpanExporter } from './tracer.ts';

export interface ExporterOptions extends Omit<SenderOptions, 'contentType'>, Exporting {
  readonly format: 'json' | 'protobuf';
  /** Spans that wait at most; more are dropped. */
  readonly maxQueue: number;
  /** Spans of one request to the collector. */
  readonly maxBatch: number;
  /** Longest wait of a span before it is sent. */
  readonly delayMs: number;
  /** For a batch with all its attempts. */
  readonly exportTimeoutMs: number;
  readonly logger: Logger;
}

/** For what is left when the program stops: an operator waits. */
const closeMs = 2_000;

/** One for a program. */
export class OtlpExporter implements SpanExporter {
  readonly metrics: readonly MetricFamily[];
  readonly #options: ExporterOptions;
  readonly #sender: OtlpSender;
  readonly #stop = new AbortController();
  #queue: Span[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #closed = false;
  #isFailing = false;
  readonly #counts = { exported: 0, full: 0, failed: 0, rejected: 0 };

  constructor(options: ExporterOptions) {
    this.#options = options;
    const contentType = options.format === 'json' ? 'application/json' : 'application/x-protobuf';
    this.#sender = new OtlpSender({ ...options, contentType });
    this.metrics = [
      counter('postern_trace_spans_exported_total', 'Spans that the collector took', [], () => [
        [{}, this.#counts.exported],
      ]),
      counter('postern_trace_spans_dropped_total', 'Spans that no collector has', ['reason'], () =>
        (['full', 'failed', 'rejected'] as const).map(reason => [{ reason }, this.#counts[reason]]),
      ),
    ];
  }

  /** Takes a span that is over. Never waits, never throws. */
  add(span: Span): void {
    if (this.#closed || this.#queue.length >= this.#options.maxQueue) {
      this.#counts.full += 1;
      return;
    }
    this.#queue.push(span);
    if (this.#queue.length >= this.#options.maxBatch) this.#start();
    else this.#timer ??= setTimeout(() => this.#start(), this.#options.delayMs).unref();
  }

  /** Sends what is left, for two seconds at most. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const cut = setTimeout(() => this.#stop.abort(), closeMs);
    await this.#sending;
    this.#start();
    await this.#sending;
    clearTimeout(cut);
    this.#sender.close();
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
    });
  }

  /** Until less than a batch is left; all of it when closed. */
  async #sendAll(): Promise<void> {
    const { maxBatch } = this.#options;
    do {
      const batch = this.#queue.splice(0, maxBatch);
      if (batch.length > 0) await this.#send(batch);
    } while (this.#queue.length >= (this.#closed ? 1 : maxBatch));
    if (this.#queue.length > 0) this.#timer ??= setTimeout(() => this.#start(), this.#options.delayMs).unref();
  }

  async #send(batch: readonly Span[]): Promise<void> {
    const { exportTimeoutMs, format, logger, url } = this.#options;
    try {
      const body = format === 'json' ? encodeOtlpJson(batch, this.#options) : encodeTracesData(batch, this.#options);
      const rejected = await this.#sender.send(body, exportTimeoutMs, this.#stop.signal);
      this.#counts.rejected += rejected;
      this.#counts.exported += batch.length - rejected;
      if (this.#isFailing) logger.info({ collector: url.host }, 'Traces are exported again');
      this.#isFailing = false;
    } catch (error) {
      this.#counts.failed += batch.length;
      // Once: a collector that is away is so for hours, and requests go on without it.
      if (!this.#isFailing) logger.warn({ error: describeError(error) }, 'Traces cannot be exported');
      this.#isFailing = true;
    }
  }
}
