// One batch of spans to a collector, over HTTP by POST, again while the collector is only busy. Source: the OpenTelemetry
// protocol, "OTLP/HTTP" (which statuses to try again, Retry-After, partial success). By node:http, which the data path has
// loaded already, and not by undici.

import type { Agent, ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { setTimeout as after } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { foreignCode, PosternError } from '../../errors/error.ts';

export interface SenderOptions {
  readonly url: URL;
  /** Sent with each batch; values may be secrets and are not told. */
  readonly headers: Readonly<Record<string, string>>;
  readonly contentType: string;
  readonly gzip: boolean;
  /** For one attempt. */
  readonly timeoutMs: number;
  /** TLS of a collector at https: roots to trust, and who we are. */
  readonly tls: { readonly ca?: readonly string[]; readonly cert?: string; readonly key?: string };
}

/** First wait before another attempt; each is twice the one before, less up to half of it by chance. */
const firstWaitMs = 1_000;
/** Of a collector's answer; it has none that we need beyond. */
const maxAnswerBytes = 64 * 1024;
const busy = new Set([429, 502, 503, 504]);
const compress = promisify(gzip);

/** What an attempt came to. */
interface Answer {
  readonly status: number;
  /** Undefined = the collector says none. */
  readonly retryAfterMs: number | undefined;
  readonly text: string;
}

/** One for a program. It keeps a connection to the collector. */
export class OtlpSender {
  readonly #options: SenderOptions;
  #agent: Agent | undefined;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /**
   * Settles with how many spans the collector did not take; rejects with 'trace.failed' when the last attempt of `deadlineMs`
   * failed, and at once when `signal` aborts.
   */
  async send(body: Buffer | string, deadlineMs: number, signal: AbortSignal): Promise<number> {
    const bytes = this.#options.gzip ? await compress(body) : Buffer.from(body);
    const endMs = performance.now() + deadlineMs;
    for (let waitMs = firstWaitMs; ; waitMs *= 2) {
      const leftMs = endMs - performance.now();
      const failure = await this.#attempt(bytes, Math.min(this.#options.timeoutMs, leftMs), signal);
      if (typeof failure === 'number') return failure;
      const pauseMs = failure.retryAfterMs ?? waitMs * (1 - Math.random() / 2);
      if (!failure.again || signal.aborted || performance.now() + pauseMs >= endMs) throw failure.error;
      await after(pauseMs, undefined, { signal, ref: false }).catch(() => {
        throw failure.error;
      });
    }
  }

  close(): void {
    this.#agent?.destroy();
  }

  async #attempt(bytes: Buffer, timeoutMs: number, signal: AbortSignal) {
    const { url } = this.#options;
    try {
      const answer = await this.#post(
        bytes,
        AbortSignal.any([signal, AbortSignal.timeout(Math.max(1, Math.ceil(timeoutMs)))]),
      );
      if (answer.status >= 200 && answer.status < 300) return rejectedSpans(answer.text);
      const error = failed(`The collector at ${url.host} answered ${answer.status}`);
      return { error, again: busy.has(answer.status), retryAfterMs: answer.retryAfterMs };
    } catch (cause) {
      const why = foreignCode(cause) ?? (cause instanceof Error ? cause.name : 'unknown');
      return { error: failed(`The collector at ${url.host} cannot be reached: ${why}`, cause), again: true };
    }
  }

  async #post(bytes: Buffer, signal: AbortSignal): Promise<Answer> {
    const { contentType, headers, tls, url } = this.#options;
    const isTls = url.protocol === 'https:';
    const { Agent: KeptAgent, request } = isTls ? await import('node:https') : await import('node:http');
    this.#agent ??= new KeptAgent({ keepAlive: true, maxSockets: 1, ...(isTls ? tls : {}) } as object);
    const options: RequestOptions = {
      method: 'POST',
      agent: this.#agent,
      signal,
      headers: {
        'user-agent': 'postern (OTLP exporter)',
        ...headers,
        'content-type': contentType,
        'content-length': bytes.length,
        ...(this.#options.gzip ? { 'content-encoding': 'gzip' } : {}),
      },
    };
    return readAnswer(request(url, options), bytes);
  }
}

function readAnswer(call: ClientRequest, bytes: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    call.once('error', reject);
    call.once('response', (response: IncomingMessage) => {
      const { headers, statusCode: status = 0 } = response;
      const pieces: Buffer[] = [];
      let length = 0;
      const done = (): void =>
        resolve({
          status,
          retryAfterMs: retryAfter(headers['retry-after']),
          text: Buffer.concat(pieces).toString('utf8'),
        });
      response.on('data', (piece: Buffer) => {
        length += piece.length;
        if (length <= maxAnswerBytes) pieces.push(piece);
        else {
          // Its status says enough.
          done();
          response.destroy();
        }
      });
      response.once('error', reject);
      response.once('end', done);
    });
    call.end(bytes);
  });
}

/** Seconds, or a date (RFC 9110 §10.2.3). */
function retryAfter(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

/** Of an answer in JSON; other answers with a good status have taken all. */
function rejectedSpans(text: string): number {
  try {
    const answer = JSON.parse(text) as { partialSuccess?: { rejectedSpans?: number | string } } | null;
    const count = Number(answer?.partialSuccess?.rejectedSpans ?? 0);
    return Number.isSafeInteger(count) && count > 0 ? count : 0;
  } catch {
    // Empty, or protobuf.
    return 0;
  }
}

function failed(text: string, cause?: unknown): PosternError {
  return new PosternError('trace.failed', text, { cause });
}
