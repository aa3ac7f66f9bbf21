// The answer to one HTTP/1.1 request: the head is written byte for byte as it is given. Source: RFC 9112 §4 (status line),
// §6 (framing), §7.1.2 (trailers), §9.6 (close); RFC 9110 §10.1.1 (100-continue).

import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { HeaderList } from '../../net/http/header-list.ts';
import { nodeHttp } from '../../net/http/node-http.ts';
import type { GatheredWrites } from '../../net/stream/gathered-writes.ts';
import { ObservedResponse } from '../observed-response.ts';
import type { ResponseBody, VisitorResponse } from '../visitor.ts';
import type { Http1Head } from './request-head.ts';

/** What a response asks of the connection that it is written to. */
export interface ResponseOwner {
  readonly socket: import('node:net').Socket;
  /** Of the socket. */
  readonly writes: GatheredWrites;
  /** No further request is taken: the head must say so. */
  readonly isEnding: boolean;
  /** For Keep-Alive. */
  readonly keepAliveSeconds: number;
  /** All of the answer was written. */
  responseEnded(): void;
  /** Lets go of the socket for an upgrade; returns what came after the head. */
  detach(): Buffer;
}

export class Http1Response extends ObservedResponse implements VisitorResponse, ResponseBody {
  /** Nothing more can be written, or must be. */
  isOver = false;
  /** Whether the connection ends with this answer. */
  closes: boolean;
  readonly #owner: ResponseOwner;
  readonly #head: Pick<Http1Head, 'minorVersion' | 'expectsContinue' | 'upgrade'>;
  #started = false;
  #continued = false;
  #framing: 'none' | 'length' | 'chunked' | 'close' = 'none';
  #isBroken = false;
  #gone: (() => void) | undefined;
  #onDrain: (() => void) | undefined;

  constructor(
    owner: ResponseOwner,
    head: Pick<Http1Head, 'minorVersion' | 'expectsContinue' | 'upgrade' | 'persists'>,
  ) {
    super();
    this.#owner = owner;
    this.#head = head;
    // What follows the head of an upgrade is no request.
    this.closes = !head.persists || head.upgrade;
  }

  get hasStarted(): boolean {
    return this.#started;
  }

  /** The visitor never sent what it announced, because nobody asked for it. */
  get isBodyUnasked(): boolean {
    return this.#head.expectsContinue && !this.#continued;
  }

  /** For the connection: the visitor is gone, or what it sends makes no sense. */
  lose(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#gone?.();
    this.tellEnd(this.#isBroken ? 'failed' : 'gone');
  }

  /** For the connection: its socket takes more. */
  drained(): void {
    if (!this.isOver) this.#onDrain?.();
  }

  onGone(handler: () => void): void {
    this.#gone = handler;
    if (this.isOver) handler();
  }

  continue(): void {
    if (!this.#head.expectsContinue || this.#continued || this.#started || this.isOver) return;
    this.#continued = true;
    this.#owner.socket.write('HTTP/1.1 100 Continue\r\n\r\n', 'latin1');
  }

  closeAfter(): void {
    this.closes = true;
  }

  start(status: number, given: HeaderList, options: { hasBody: boolean }): ResponseBody | undefined {
    if (this.#started || this.isOver) return undefined;
    const headers = this.headToSend(status, given);
    this.#started = true;
    // A visitor who was never asked for its body must not have what it sends later taken for a request.
    if (this.isBodyUnasked || this.#owner.isEnding) this.closes = true;
    const { socket, writes } = this.#owner;
    let head = `HTTP/1.1 ${status} ${nodeHttp.STATUS_CODES[status] ?? ''}\r\n`;
    let hasLength = false;
    let hasDate = false;
    for (let index = 0; index + 1 < headers.length; index += 2) {
      const name = headers[index] ?? '';
      if (name.length === 14) hasLength ||= name.toLowerCase() === 'content-length';
      else if (name.length === 4) hasDate ||= name.toLowerCase() === 'date';
      head += `${name}: ${headers[index + 1] ?? ''}\r\n`;
    }
    if (options.hasBody) {
      this.#framing = hasLength ? 'length' : this.#head.minorVersion === 1 ? 'chunked' : 'close';
      if (this.#framing === 'close') this.closes = true;
      if (this.#framing === 'chunked') head += 'Transfer-Encoding: chunked\r\n';
    }
    if (!hasDate) head += `Date: ${dateNow()}\r\n`;
    head += this.closes
      ? 'Connection: close\r\n\r\n'
      : `Connection: keep-alive\r\nKeep-Alive: timeout=${this.#owner.keepAliveSeconds}\r\n\r\n`;
    // Head and first piece of a small answer leave together; the head of a slow one does not wait for it.
    writes.begin();
    socket.write(head, 'latin1');
    if (options.hasBody) return this;
    this.#finish();
    return undefined;
  }

  write(chunk: Buffer): boolean {
    // An empty chunk would end the body.
    if (this.isOver || chunk.length === 0) return true;
    this.bytesDown += chunk.length;
    const { socket, writes } = this.#owner;
    writes.begin();
    if (this.#framing === 'chunked') socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
    socket.write(chunk);
    if (this.#framing === 'chunked') socket.write('\r\n', 'latin1');
    return writes.takesMore();
  }

  onDrain(handler: () => void): void {
    this.#onDrain = handler;
  }

  end(trailers: HeaderList): void {
    if (this.isOver) return;
    if (this.#framing === 'chunked') {
      let text = '0\r\n';
      for (let index = 0; index + 1 < trailers.length; index += 2)
        text += `${trailers[index] ?? ''}: ${trailers[index + 1] ?? ''}\r\n`;
      this.#owner.socket.write(`${text}\r\n`, 'latin1');
    }
    this.#finish();
  }

  breakOff(): void {
    const { socket, writes } = this.#owner;
    this.#isBroken = true;
    // What came counts.
    writes.flush();
    // The end of the connection is the end of such a body: only a reset tells that it is not whole.
    if (this.#framing === 'close' && !(socket instanceof TLSSocket)) socket.resetAndDestroy();
    else socket.destroy();
  }

  upgrade(given: HeaderList): Duplex | undefined {
    if (!this.#head.upgrade || this.#started || this.isOver) return undefined;
    this.isOver = true;
    const headers = this.headToSend(101, given);
    const { socket } = this.#owner;
    if (this.isObserved) socket.once('close', () => this.tellEnd('complete'));
    const behind = this.#owner.detach();
    const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket'];
    for (let index = 0; index + 1 < headers.length; index += 2)
      lines.push(`${headers[index] ?? ''}: ${headers[index + 1] ?? ''}`);
    socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
    if (behind.length > 0) socket.unshift(behind);
    this.tellUpgraded(socket);
    return socket;
  }

  #finish(): void {
    this.isOver = true;
    this.tellEnd('complete');
    this.#owner.writes.flush();
    this.#owner.responseEnded();
  }
}

let date = '';
let dateSecond = 0;

/** RFC 9110 §5.6.7, made once a second. */
function dateNow(): string {
  const second = Math.floor(Date.now() / 1_000);
  if (second !== dateSecond) {
    dateSecond = second;
    date = new Date(second * 1_000).toUTCString();
  }
  return date;
}
