// One visitor's HTTP/1.1 connection: heads and bodies in, answers out, one request at a time.
//
//   waiting ──head──▶ busy ──answer and body complete──▶ waiting        what is pipelined waits, up to a bound
//      │               └──connection ends with the answer──▶ ending     what still comes is read and dropped
//      └─time, malformed head──▶ ending                                 upgraded: the socket is somebody else's
//
// Source: RFC 9112 §9.3 (persistence, pipelining), §9.5 (time-outs), §9.6 (an orderly close).

import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { plainAddress } from '../../net/address/ip.ts';
import { GatheredWrites } from '../../net/stream/gathered-writes.ts';
import type { WriteWatch } from '../../net/stream/write-watch.ts';
import { maxHeaderBytes, type VisitorTimeouts } from '../limits.ts';
import type { Place, Places } from '../places.ts';
import { answerProblem } from '../problem.ts';
import { refuseRequest } from '../refuse.ts';
import { nextRequestId } from '../request-id.ts';
import { encodePath, isAuthority, isTarget, plainAuthority, splitTarget } from '../request-target.ts';
import type { HandleVisitor, VisitorRequest } from '../visitor.ts';
import { RequestBody } from './request-body.ts';
import { type Http1Head, http2Preface, parseHttp1Head } from './request-head.ts';
import { Http1Response, type ResponseOwner } from './response.ts';

export interface Http1Options {
  readonly handle: HandleVisitor;
  readonly timeouts: VisitorTimeouts;
  /** Watches for visitors who take nothing of their answers. */
  readonly writes: WriteWatch;
  readonly places: Places;
  /** Takes a connection over that begins with HTTP/2's preface; the bytes are back in the socket. */
  readonly onHttp2: () => void;
}

/** What may be pipelined behind a request that runs. */
export const maxHeldBytes = 64 * 1024;
/** Empty lines before a request, which RFC 9112 §2.2 wants ignored. */
const maxEmptyLines = 4;
/** How long a visitor may go on sending a body after its answer is complete. */
const uploadLingerMs = 10_000;
/** Long enough for the last answer to be read before a reset could overtake it. */
const closeWaitMs = 2_000;
const nothing = Buffer.alloc(0);
/** What an answer needs to know where no head could be read. */
const noHead = { minorVersion: 1, persists: false, expectsContinue: false, upgrade: false } as const;

export class Http1Connection implements ResponseOwner {
  readonly socket: Socket;
  readonly writes: GatheredWrites;
  readonly keepAliveSeconds: number;
  /** When `expire` is due, in milliseconds of `performance.now()`. */
  deadlineMs: number;
  readonly #options: Http1Options;
  readonly #place: Place;
  readonly #onClose: () => void;
  readonly #remoteAddress: string;
  readonly #remotePort: number;
  #state: 'waiting' | 'busy' | 'ending' | 'upgraded' = 'waiting';
  #isDraining = false;
  #isFirst = true;
  #emptyLines = 0;
  /** What came and belongs to no request yet. */
  #held: Buffer = nothing;
  /** How much of `#held` was searched for the end of a head, and where its last line begins. */
  #searched = 0;
  #lineStart = 0;
  #response: Http1Response | undefined;
  #body: RequestBody | undefined;
  #isReading = false;
  #cut: NodeJS.Timeout | undefined;
  #leaveRequest: (() => void) | undefined;

  /** `onClose` is called once, also when the socket goes to somebody else. */
  constructor(socket: Socket, place: Place, options: Http1Options, onClose: () => void) {
    const { keepAliveMs, headersMs } = options.timeouts;
    this.socket = socket;
    this.writes = new GatheredWrites(socket);
    this.keepAliveSeconds = Math.floor(keepAliveMs / 1_000);
    this.deadlineMs = performance.now() + headersMs;
    this.#options = options;
    this.#place = place;
    this.#onClose = onClose;
    this.#remoteAddress = plainAddress(socket.remoteAddress);
    this.#remotePort = socket.remotePort ?? 0;
    socket
      .on('data', this.#onData)
      .on('end', this.#onEnd)
      .on('drain', this.#onDrain)
      .on('error', ignore)
      .once('close', this.#onClosed);
    options.writes.watch(socket, () => socket.destroy());
  }

  get isEnding(): boolean {
    return this.#isDraining;
  }

  /** Ends when the request that runs is answered; at once when none does. A head that has begun is waited for. */
  drain(): void {
    this.#isDraining = true;
    if (this.#state === 'waiting' && this.#held.length === 0) this.socket.destroySoon();
  }

  /** Called once `deadlineMs` is over. */
  expire(): void {
    if (this.#state === 'waiting' && this.#held.length > 0) this.#refuse(408);
    else if (this.#state === 'waiting') this.socket.destroySoon();
    else this.socket.destroy();
  }

  responseEnded(): void {
    const { closes, isBodyUnasked } = this.#response ?? { closes: true, isBodyUnasked: true };
    const isComplete = this.#body?.isComplete ?? true;
    if (closes || this.#isDraining) this.#end(isComplete || isBodyUnasked ? closeWaitMs : uploadLingerMs);
    else if (isComplete) this.#next();
    else this.deadlineMs = performance.now() + uploadLingerMs;
    // An early answer: what nobody reads of the body is dropped, so that the visitor gets to read the answer.
    if (this.#body?.readableFlowing === null) this.#body.resume();
  }

  detach(): Buffer {
    this.#state = 'upgraded';
    this.deadlineMs = Number.POSITIVE_INFINITY;
    const { socket } = this;
    socket.pause();
    socket.off('data', this.#onData).off('end', this.#onEnd).off('drain', this.#onDrain).off('close', this.#onClosed);
    this.#options.writes.forget(socket);
    this.#onClose();
    // An upgraded connection is a request that goes on.
    if (this.#leaveRequest !== undefined) socket.once('close', this.#leaveRequest);
    const held = this.#held;
    this.#held = nothing;
    return held;
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#state === 'ending') {
      // The body of an early answer is waited for; nothing else matters.
      this.#body?.feed(chunk);
      return;
    }
    let rest = chunk;
    if (this.#body !== undefined && !this.#body.isComplete) {
      const taken = this.#body.feed(chunk);
      if (taken < 0) {
        this.#giveUp();
        return;
      }
      if (this.#body.isComplete && this.#response?.isOver === true) this.#next();
      rest = chunk.subarray(taken);
    }
    if (rest.length > 0) {
      if (this.#state === 'waiting' && this.#held.length === 0) {
        this.deadlineMs = Math.min(this.deadlineMs, performance.now() + this.#options.timeouts.headersMs);
      }
      this.#held = this.#held.length === 0 ? rest : Buffer.concat([this.#held, rest]);
      this.#readHeads();
    }
    this.#readOrPause();
  };

  /** Reads heads until one request runs. Not recursive: an answer may be complete before `handle` returns. */
  #readHeads(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    while (this.#state === 'waiting' && this.#held.length > 0) if (!this.#readHead()) break;
    this.#isReading = false;
  }

  /** False when more must come first. */
  #readHead(): boolean {
    const end = this.#findEnd();
    if (end === 'more') {
      if (this.#held.length > maxHeaderBytes) this.#refuse(431);
      return false;
    }
    if (end === 'malformed' || end > maxHeaderBytes) {
      this.#refuse(end === 'malformed' ? 400 : 431);
      return false;
    }
    if (end === 0) return true;
    const text = this.#held.toString('latin1', 0, end - 4);
    if (this.#isFirst && text === http2Preface && !(this.socket instanceof TLSSocket)) {
      this.socket.unshift(this.detach());
      this.#options.onHttp2();
      return false;
    }
    this.#held = this.#held.subarray(end);
    this.#searched = 0;
    this.#lineStart = 0;
    const head = parseHttp1Head(text);
    if (typeof head === 'number') this.#refuse(head);
    else this.#begin(head);
    return true;
  }

  /** Length of the head with the empty line behind it; 0 for an empty line before it. A bare line feed ends no line. */
  #findEnd(): number | 'more' | 'malformed' {
    const held = this.#held;
    for (;;) {
      const lineFeed = held.indexOf(0x0a, this.#searched);
      if (lineFeed < 0) break;
      if (held[lineFeed - 1] !== 0x0d) return 'malformed';
      this.#searched = lineFeed + 1;
      const isEmpty = lineFeed - this.#lineStart === 1;
      this.#lineStart = this.#searched;
      if (!isEmpty) continue;
      if (lineFeed > 1) return this.#searched;
      this.#emptyLines += 1;
      if (this.#emptyLines > maxEmptyLines) return 'malformed';
      this.#held = held.subarray(2);
      this.#searched = 0;
      this.#lineStart = 0;
      return 0;
    }
    this.#searched = held.length;
    // No request begins so: another protocol, whose client would wait for an answer.
    const [first = 0] = held;
    return first <= 0x20 && first !== 0x0d ? 'malformed' : 'more';
  }

  #begin(head: Http1Head): void {
    this.#isFirst = false;
    this.#emptyLines = 0;
    const { host, path } = splitTarget(encodePath(head.target), head.host);
    if (!isTarget(head.method, path) || !isAuthority(host)) {
      this.#refuse(400);
      return;
    }
    this.#state = 'busy';
    this.deadlineMs = Number.POSITIVE_INFINITY;
    this.#place.busy();
    const response = new Http1Response(this, head);
    const body = new RequestBody(head.bodyLength, this.#readOrPause);
    this.#response = response;
    this.#body = body;
    const request: VisitorRequest = {
      id: nextRequestId(),
      method: head.method,
      scheme: this.socket instanceof TLSSocket ? 'https' : 'http',
      host: plainAuthority(host),
      path,
      headers: head.headers,
      remoteAddress: this.#remoteAddress,
      remotePort: this.#remotePort,
      bodyLength: head.bodyLength,
      body,
      upgrade: head.upgrade,
    };
    this.#leaveRequest = this.#options.places.admitRequest(this.#remoteAddress);
    if (this.#leaveRequest === undefined) answerProblem(response, request, 'busy');
    else this.#options.handle(request, response);
    // What came with the head.
    if (body.isComplete || this.#held.length === 0) return;
    const taken = body.feed(this.#held);
    if (taken < 0) {
      this.#giveUp();
      return;
    }
    this.#held = this.#held.subarray(taken);
    if (body.isComplete && response.isOver && this.#response === response && this.#state === 'busy') this.#next();
  }

  /** The request that ran is answered and all of it came. */
  #next(): void {
    if (this.#state !== 'busy') return;
    this.#state = 'waiting';
    this.#leaveRequest?.();
    this.#response = undefined;
    this.#body = undefined;
    this.#place.waiting();
    const { headersMs, keepAliveMs } = this.#options.timeouts;
    this.deadlineMs = performance.now() + (this.#held.length > 0 ? headersMs : keepAliveMs);
    this.#readHeads();
    this.#readOrPause();
  }

  /** The framing of a body is broken: what follows cannot be told from it. */
  #giveUp(): void {
    const response = this.#response;
    this.#body?.destroy();
    this.#body = undefined;
    response?.lose();
    // A visitor who has got the beginning of an answer must not take a refusal for its rest.
    if (response?.hasStarted === true) this.socket.destroy();
    else this.#refuse(400);
  }

  #refuse(status: 400 | 408 | 431): void {
    this.#state = 'busy';
    this.#body = undefined;
    this.#response = new Http1Response(this, noHead);
    refuseRequest(this.#response, status);
  }

  /** Nothing of what follows counts. */
  #end(waitMs: number): void {
    if (this.#state === 'ending') return;
    this.#state = 'ending';
    this.#held = nothing;
    this.#cut = setTimeout(() => this.socket.destroy(), waitMs);
    this.#leaveRequest?.();
    this.#place.busy();
    this.socket.end();
    this.#readOrPause();
  }

  readonly #readOrPause = (): void => {
    if (this.#state === 'upgraded') return;
    const isHeldBack = this.#body?.isFull === true || (this.#state === 'busy' && this.#held.length >= maxHeldBytes);
    if (isHeldBack) this.socket.pause();
    else if (this.socket.isPaused()) this.socket.resume();
  };

  /** The visitor sends no more. If it waits for an answer, it has left: a killed program ends like this. */
  readonly #onEnd = (): void => {
    if (this.#state === 'busy') this.socket.destroy();
    else this.#end(closeWaitMs);
  };

  readonly #onDrain = (): void => this.#response?.drained();

  readonly #onClosed = (): void => {
    clearTimeout(this.#cut);
    this.#response?.lose();
    this.#body?.destroy();
    this.#leaveRequest?.();
    this.#onClose();
  };
}

function ignore(): void {
  // 'close' follows.
}
