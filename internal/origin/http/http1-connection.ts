// One HTTP/1.1 connection to an origin: a socket, its parser and at most one request at a time.
// Source: RFC 9112 §9. The pool owns idle connections, the request owns a busy one.

import type { Socket } from 'node:net';
import { PosternError } from '../../errors/error.ts';
import { splice, webSocketLingerMs } from '../../net/stream/splice.ts';
import { countGarbage } from '../../net/stream/young-garbage.ts';
import { keepReading, restoreWrites } from '../message/keep-reading.ts';
import type { ResponseHead } from '../message/response-head.ts';
import { ResponseParser, type ResponseSink } from '../message/response-parser.ts';
import type { Http1Request, RequestConnection } from './http1-request.ts';

export interface ConnectionOwner {
  /** A response is complete and the connection may serve another request. */
  release(connection: Http1Connection, keepAliveMs: number | undefined): void;
  /** The connection is gone. */
  dropped(connection: Http1Connection): void;
}

/** What an origin said before it closed is here already, or comes within a round trip; origins are near. */
const lastWordsMs = 1000;
/** From the first byte of a head to its last: heads are sent in one go, and 1 MiB takes this long at 35 KB/s. */
export const defaultHeadTimeoutMs = 30_000;

export class Http1Connection implements RequestConnection, ResponseSink {
  /** When an idle connection is given up, in milliseconds of `performance.now()`; the pool's. */
  idleUntilMs = 0;
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  readonly #parser: ResponseParser;
  #request: Http1Request | undefined;
  #reusable = false;
  #reused = false;
  #keepAliveMs: number | undefined;
  #ended = false;
  #upgraded = false;
  #error: Error | undefined;
  /**
   * What a failed write does: `destroy` ends the connection, as Node does by itself; `keep` leaves reading on, for the answer
   * that the origin may have sent; `broken` says that a write has failed under `keep`.
   */
  #writes: 'destroy' | 'keep' | 'broken' = 'destroy';
  #lastWords: NodeJS.Timeout | undefined;
  readonly #headTimeoutMs: number;
  #headDeadline: NodeJS.Timeout | undefined;

  constructor(socket: Socket, owner: ConnectionOwner, headTimeoutMs = defaultHeadTimeoutMs) {
    this.#headTimeoutMs = headTimeoutMs;
    this.#socket = socket;
    this.#owner = owner;
    this.#parser = new ResponseParser(this);
    socket
      .on('data', this.#onData)
      .on('end', this.#onEnd)
      .on('drain', this.#onDrain)
      .on('error', this.#onError)
      .on('close', this.#onClose);
  }

  /** Whether another request came before the present one on this connection, and no byte of its response has come. */
  get maybeStale(): boolean {
    return this.#reused && !this.#parser.touched;
  }

  get usable(): boolean {
    return !this.#socket.destroyed && this.#socket.writable;
  }

  /** Starts a request; the connection must be idle. */
  start(request: Http1Request): void {
    this.#request = request;
    this.#ended = false;
    this.#parser.expect(request.method, request.upgrade);
    if (request.bodiless) {
      this.#socket.write(request.text, 'latin1');
      if (request.gathered !== undefined && request.gathered.length > 0) this.#socket.write(request.gathered);
      return;
    }
    if (this.#writes === 'destroy') {
      this.#writes = 'keep';
      keepReading(this.#socket, this.#onBrokenWrite);
    }
    // Body bytes that are here already go out in one write with the head: they are read before this turn is over.
    this.#socket.cork();
    this.#socket.write(request.text, 'latin1');
    request.sendBody(this.#socket);
    process.nextTick(uncork, this.#socket);
  }

  /** Marks what follows the present response as worthless: the request was not sent whole, or its end is unknown. */
  spoil(): void {
    this.#reusable = false;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#request = undefined;
    this.#socket.destroy();
  }

  onHead(head: ResponseHead): void {
    const request = this.#request;
    if (request === undefined) return;
    if (head.status === 101) {
      this.#upgraded = true;
      request.onUpgrade(head);
    } else if (head.status >= 200) {
      this.#reusable = head.reusable;
      this.#keepAliveMs = head.keepAliveMs;
      request.onHead(head, this);
    } else if (head.status === 100) request.onContinue();
  }

  onData(piece: Buffer): void {
    this.#request?.onData(piece, this);
  }

  onEnd(trailers: string[] | undefined): void {
    this.#ended = true;
    this.#request?.onEnd(trailers, this);
  }

  onRaw(piece: Buffer): void {
    this.#request?.exchange.body.write(piece);
  }

  readonly #onData = (chunk: Buffer): void => {
    countGarbage(chunk.length);
    try {
      this.#parser.feed(chunk);
    } catch (error) {
      this.#error = error as Error;
      this.#socket.destroy();
      return;
    }
    if (this.#parser.insideHead) this.#headDeadline ??= setTimeout(this.#onLateHead, this.#headTimeoutMs);
    else if (this.#headDeadline !== undefined) {
      clearTimeout(this.#headDeadline);
      this.#headDeadline = undefined;
    }
    if (this.#upgraded) this.#join();
    else if (this.#ended) this.#settle();
  };

  readonly #onLateHead = (): void => {
    this.#error = new PosternError(
      'origin.timeout',
      `The origin did not end the head of its answer within ${this.#headTimeoutMs} ms`,
      { details: { hop: 'response', cause: 'ETIMEDOUT' } },
    );
    this.#socket.destroy();
  };

  /** The response is complete, and nothing came after it. */
  #settle(): void {
    this.#ended = false;
    this.#request = undefined;
    if (!this.#reusable || this.#writes === 'broken' || this.#socket.destroyed) {
      this.#socket.destroy();
      return;
    }
    this.#reused = true;
    this.#owner.release(this, this.#keepAliveMs);
  }

  /** Hands the socket over to the visitor's stream, byte for byte from here on. */
  #join(): void {
    const request = this.#request;
    const socket = this.#socket;
    this.#request = undefined;
    if (this.#writes === 'keep') restoreWrites(socket);
    socket
      .off('data', this.#onData)
      .off('end', this.#onEnd)
      .off('drain', this.#onDrain)
      .off('error', this.#onError)
      .off('close', this.#onClose)
      .on('close', () => this.#owner.dropped(this));
    if (request === undefined) socket.destroy();
    else splice(request.exchange.body, socket, webSocketLingerMs);
  }

  readonly #onDrain = (): void => {
    this.#request?.onDrain();
  };

  readonly #onEnd = (): void => {
    try {
      // A body that ends with the connection is not known to be whole when the connection broke (RFC 9112 §8).
      if (this.#writes !== 'broken') this.#parser.finish();
    } catch (error) {
      this.#error ??= error as Error;
    }
    this.#socket.destroy();
  };

  /** The origin takes no more of the request; its answer may be here all the same. */
  readonly #onBrokenWrite = (error: Error): void => {
    this.#writes = 'broken';
    this.#error ??= error;
    this.#request?.onUnwritable();
    this.#lastWords = setTimeout(() => {
      if (this.#request?.responding !== true) this.#socket.destroy();
    }, lastWordsMs);
  };

  readonly #onError = (error: Error): void => {
    this.#error ??= error;
  };

  readonly #onClose = (): void => {
    clearTimeout(this.#lastWords);
    clearTimeout(this.#headDeadline);
    const request = this.#request;
    this.#request = undefined;
    this.#owner.dropped(this);
    request?.onLost(this.#error, this);
  };
}

function uncork(socket: Socket): void {
  socket.uncork();
}
