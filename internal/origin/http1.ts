// One keep-alive pool of HTTP/1.1 connections to one origin address (and one TLS name), on undici's dispatcher.
// Source: spec ingress-and-origin §8; RFC 9112. Connections come from our own dial, so failures name their hop.

import { Readable } from 'node:stream';
import { type Dispatcher, errors, Pool } from 'undici';
import { PosternError } from '../errors/error.ts';
import type { Dial, DialDone } from './dial.ts';
import type { Cancelable, Exchange } from './exchange.ts';
import { originFailure, requestRejected, visitorGone } from './failure.ts';
import { forwardResponseHeaders } from './response-headers.ts';

export interface Http1Settings {
  /** Shown in errors: host:port or socket path. */
  readonly dest: string;
  readonly keepAliveTimeoutMs: number;
  readonly open: (done: DialDone) => Dial;
}

/** 256 KiB of response headers: sixteen times Node's default, small enough that a thousand at once fit in memory. */
const maxHeaderBytes = 256 * 1024;

export class Http1Pool {
  readonly #pool: Pool;
  readonly dest: string;

  constructor(settings: Http1Settings) {
    this.dest = settings.dest;
    this.#pool = new Pool('http://origin', {
      allowH2: false,
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: maxHeaderBytes,
      keepAliveTimeout: Math.max(settings.keepAliveTimeoutMs, 1),
      keepAliveMaxTimeout: Math.max(settings.keepAliveTimeoutMs, 1),
      connect: (_options, callback) => {
        settings.open((error, socket) => {
          if (socket === undefined) callback(error ?? new Error('no connection'), null);
          else callback(null, socket);
        });
      },
    });
  }

  /** Sends the exchange's request with these headers (Host not among them) and streams the answer back. */
  request(exchange: Exchange, path: string, host: string, headers: string[]): void {
    new Http1Request(this.#pool, this.dest, exchange, path, host, headers).send();
  }

  /** Number of connections, for tests and diagnostics. */
  get connections(): number {
    return this.#pool.stats.connected;
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

/** Methods that may be sent again when a kept connection turned out to be dead (RFC 9110 §9.2.2). */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

class Http1Request implements Dispatcher.DispatchHandler, Cancelable {
  readonly #pool: Pool;
  readonly #dest: string;
  readonly #exchange: Exchange;
  readonly #options: Dispatcher.DispatchOptions;
  #controller: Dispatcher.DispatchController | undefined;
  #state: 'waiting' | 'responding' | 'done' = 'waiting';
  #bodiless = false;
  #retried = false;
  #hasDrain = false;

  constructor(pool: Pool, dest: string, exchange: Exchange, path: string, host: string, headers: string[]) {
    this.#pool = pool;
    this.#dest = dest;
    this.#exchange = exchange;
    const { head } = exchange;
    headers.push('host', host);
    const length = head.bodyLength;
    if (length >= 0 && (length > 0 || (head.method !== 'GET' && head.method !== 'HEAD')))
      headers.push('content-length', String(length));
    this.#options = {
      method: head.method,
      path,
      headers,
      body: length === 0 ? null : new RequestBody(exchange.body),
      // Responses on one connection never wait for each other, so HEAD need not cost the connection.
      reset: false,
    };
  }

  send(): void {
    this.#exchange.work = this;
    try {
      this.#pool.dispatch(this.#options, this);
    } catch (error) {
      this.#fail(error);
    }
  }

  cancel(): void {
    if (this.#state === 'done') return;
    this.#state = 'done';
    // Without a controller the request still waits for a connection; onRequestStart ends it then.
    this.#controller?.abort(visitorGone());
    this.#options.body instanceof Readable && this.#options.body.destroy();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#state === 'done') controller.abort(visitorGone());
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (this.#state !== 'waiting' || status < 200) return;
    this.#state = 'responding';
    const { method } = this.#exchange.head;
    const { headers, contentLength } = forwardResponseHeaders(controller.rawHeaders as readonly Buffer[]);
    this.#bodiless = method === 'HEAD' || status === 204 || status === 304 || contentLength === '0';
    this.#exchange.respond(status, headers, this.#bodiless);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#state !== 'responding') return;
    if (this.#exchange.body.write(chunk)) return;
    controller.pause();
    if (this.#hasDrain) return;
    this.#hasDrain = true;
    this.#exchange.body.on('drain', () => this.#controller?.resume());
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#state !== 'responding') return;
    this.#state = 'done';
    if (this.#bodiless) return;
    const raw = controller.rawTrailers as readonly Buffer[] | null | undefined;
    if (raw !== undefined && raw !== null && raw.length > 0) {
      this.#exchange.trailers(raw.map(part => part.toString('latin1')));
    }
    this.#exchange.body.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    if (this.#state === 'waiting' && !this.#retried && this.#mayRetry(error)) {
      this.#retried = true;
      this.#controller = undefined;
      this.send();
      return;
    }
    this.#fail(error);
  }

  /** The origin closed a kept connection just as we wrote to it; nothing of a response came. */
  #mayRetry(error: unknown): boolean {
    if (this.#options.body !== null || !idempotent.has(this.#options.method) || error instanceof PosternError)
      return false;
    return (
      error instanceof errors.SocketError ||
      ('code' in Object(error) && ['ECONNRESET', 'EPIPE'].includes(Object(error).code))
    );
  }

  #fail(error: unknown): void {
    if (this.#state === 'done') return;
    const hop = this.#state === 'waiting' ? 'request' : 'response';
    this.#state = 'done';
    if (error instanceof errors.InvalidArgumentError) this.#exchange.fail(requestRejected(error.message));
    else this.#exchange.fail(originFailure(hop, this.#dest, error));
  }
}

/** The request body as undici may own (and destroy) it: the exchange's Duplex itself must outlive it for the response. */
class RequestBody extends Readable {
  readonly #source: Exchange['body'];

  constructor(source: Exchange['body']) {
    super({ highWaterMark: 64 * 1024 });
    this.#source = source;
    source.on('data', this.#onData).on('end', this.#onEnd).pause();
  }

  readonly #onData = (chunk: Buffer): void => {
    if (!this.destroyed && !this.push(chunk)) this.#source.pause();
  };

  readonly #onEnd = (): void => {
    if (!this.destroyed) this.push(null);
  };

  override _read(): void {
    this.#source.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#source.off('data', this.#onData).off('end', this.#onEnd);
    callback(error);
  }
}
