// One request to an HTTP/1.1 origin and its answer: writes head and body, streams the response into the exchange.
// Source: RFC 9112 §3, §6, §9.3.1 (retry); RFC 9110 §10.1.1 (Expect); docs/protocol/ingress-and-origin.md §8, §9.

import type { Socket } from 'node:net';
import type { PosternError } from '../../errors/error.ts';
import { takesMore } from '../../net/stream/pump.ts';
import type { Dial } from '../dial/dial.ts';
import type { Cancelable, Exchange } from '../exchange/exchange.ts';
import { originFailure } from '../exchange/failure.ts';
import { canonicalName } from '../message/canonical-name.ts';
import type { ResponseHead } from '../message/response-head.ts';
import { RequestBody } from './request-body.ts';

/** What a request needs of its pool. */
export interface RequestPool {
  readonly dest: string;
  /** Finds or opens a connection and starts the request on it. */
  send(request: Http1Request): void;
  /** The same on a connection of its own. */
  sendFresh(request: Http1Request): void;
}

/** What a request needs of the connection it runs on. */
export interface RequestConnection {
  /** Writes the head, and the body when there is one; the answer comes back through the request's `on…` methods. */
  start(request: Http1Request): void;
  /** Whether another request came before this one on this connection, and no byte of its response has come. */
  readonly maybeStale: boolean;
  /** Not to be used for another request: what follows the present response cannot be trusted. */
  spoil(): void;
  pause(): void;
  resume(): void;
  destroy(): void;
}

export interface RequestLine {
  readonly path: string;
  readonly host: string;
  readonly headers: readonly string[];
  /** Wait for 100 (Continue) before the body. */
  readonly expectContinue: boolean;
  /** The whole body, read beforehand; undefined: it is streamed from the exchange. */
  readonly gathered?: Buffer | undefined;
}

export class Http1Request implements Cancelable {
  readonly exchange: Exchange;
  readonly method: string;
  /** Request line and headers with the empty line, latin1. */
  readonly text: string;
  readonly upgrade: boolean;
  /** Nothing of a body is to be streamed. */
  readonly bodiless: boolean;
  /** Body to follow the text at once. */
  readonly gathered: Buffer | undefined;
  /** The dial under way for this request. */
  dialing: Dial | undefined;
  readonly #pool: RequestPool;
  readonly #expectContinue: boolean;
  #connection: RequestConnection | undefined;
  #body: RequestBody | undefined;
  #state: 'waiting' | 'responding' | 'done' = 'waiting';
  #withoutBody = false;
  #draining = false;

  constructor(pool: RequestPool, exchange: Exchange, line: RequestLine) {
    const { head } = exchange;
    this.#pool = pool;
    this.exchange = exchange;
    this.method = head.method;
    this.upgrade = head.kind === 'websocket';
    this.gathered = line.gathered;
    this.bodiless = this.upgrade || head.bodyLength === 0 || line.gathered !== undefined;
    this.#expectContinue = line.expectContinue && !this.bodiless;
    this.text = requestText(exchange, line);
    exchange.work = this;
  }

  get done(): boolean {
    return this.#state === 'done';
  }

  /** The head of the answer has come, and its body is on the way. */
  get responding(): boolean {
    return this.#state === 'responding';
  }

  /** The pool's choice; from here on the connection is this request's. */
  startOn(connection: RequestConnection): void {
    this.dialing = undefined;
    this.#connection = connection;
    connection.start(this);
  }

  sendBody(socket: Socket): void {
    const { head } = this.exchange;
    this.#body = new RequestBody(this.exchange, socket, head.bodyLength, this.#expectContinue, error => {
      const connection = this.#connection;
      this.#fail(originFailure('request', this.#pool.dest, error));
      connection?.destroy();
    });
  }

  /** The visitor went away. */
  cancel(): boolean {
    if (this.#state === 'done') return false;
    this.#end();
    this.dialing?.cancel();
    this.#connection?.destroy();
    return true;
  }

  /** No connection could be made. */
  onUnreachable(error: PosternError): void {
    this.dialing = undefined;
    this.#fail(error);
  }

  onContinue(): void {
    this.#body?.start();
  }

  onHead(head: ResponseHead, connection: RequestConnection): void {
    if (this.#state !== 'waiting') return;
    this.#state = 'responding';
    this.#body?.holdBack();
    this.#withoutBody = head.framing.kind === 'none';
    if (!this.#withoutBody) this.exchange.respond(head.status, head.headers);
    else {
      // Told at once, before 'end' of the parser: nothing more belongs to this response.
      if (this.#body?.finished === false) connection.spoil();
      this.#end();
      this.exchange.respond(head.status, head.headers, true);
    }
  }

  onData(piece: Buffer, connection: RequestConnection): void {
    if (this.#state !== 'responding') return;
    this.exchange.bytesDown += piece.length;
    const { body } = this.exchange;
    body.write(piece);
    if (takesMore(body)) return;
    connection.pause();
    if (this.#draining) return;
    this.#draining = true;
    body.once('drain', () => {
      this.#draining = false;
      if (this.#state === 'responding') connection.resume();
    });
  }

  onEnd(trailers: string[] | undefined, connection: RequestConnection): void {
    // Where the response came before the request was all sent, the next request would follow an unfinished one.
    if (this.#body?.finished === false) connection.spoil();
    if (this.#draining) connection.resume();
    if (this.#state !== 'responding') return;
    this.#end();
    if (trailers !== undefined) this.exchange.trailers(trailers);
    this.exchange.body.end();
  }

  onUpgrade(head: ResponseHead): void {
    this.#end();
    const headers = [...head.headers, 'Connection', 'Upgrade', 'Upgrade', head.upgrade ?? 'websocket'];
    this.exchange.respond(101, headers);
  }

  onDrain(): void {
    this.#body?.onDrain();
  }

  /** The connection takes no more bytes: the rest of the body is of no use. An answer may still come. */
  onUnwritable(): void {
    this.#body?.stop();
  }

  /** The connection broke; `error` is what it said, if anything. */
  onLost(error: Error | undefined, connection: RequestConnection): void {
    if (this.#state === 'done') return;
    if (
      this.#state === 'waiting' &&
      this.bodiless &&
      !this.upgrade &&
      connection.maybeStale &&
      idempotent.has(this.method)
    ) {
      this.#connection = undefined;
      this.#pool.sendFresh(this);
      return;
    }
    const hop = this.#state === 'waiting' && this.#body?.finished === false ? 'request' : 'response';
    this.#fail(originFailure(hop, this.#pool.dest, error ?? new Error('the connection was closed')));
  }

  #fail(error: PosternError): void {
    if (this.#state === 'done') return;
    this.#end();
    this.exchange.fail(error);
  }

  #end(): void {
    this.#state = 'done';
    this.#body?.stop();
  }
}

/** Methods that may be sent again when a kept connection turned out to be dead (RFC 9110 §9.2.2). */
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

function requestText(exchange: Exchange, line: RequestLine): string {
  const { method, kind } = exchange.head;
  const bodyLength = line.gathered?.length ?? exchange.head.bodyLength;
  const { headers } = line;
  let text = `${method} ${line.path} HTTP/1.1\r\nHost: ${line.host}\r\n`;
  for (let index = 0; index + 1 < headers.length; index += 2)
    text += `${canonicalName(headers[index] as string)}: ${headers[index + 1]}\r\n`;
  if (kind === 'websocket')
    return `${text}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n`;
  if (bodyLength < 0) text += 'Transfer-Encoding: chunked\r\n';
  else if (bodyLength > 0 || method === 'POST' || method === 'PUT' || method === 'PATCH')
    text += `Content-Length: ${bodyLength}\r\n`;
  if (line.expectContinue && bodyLength !== 0 && line.gathered === undefined) text += 'Expect: 100-continue\r\n';
  return `${text}Connection: keep-alive\r\n\r\n`;
}
