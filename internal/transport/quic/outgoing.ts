// One request stream at the edge's end: the head out, the head of the answer in, then bodies both ways.
// Source: docs/protocol/edge-protocol.md §9.3, §15 traps 18 and 19.
//
// Half-close: a connector that says so (`halfClose`, ours) gets a visitor's FIN at once. A stock one would drop the rest
// of the answer at a FIN on tcp and websocket; from it the FIN is held back until the answer ended, or until nothing
// came for a while, so that an origin that waits for the end is not left waiting for ever.

import { PosternError } from '../../errors/error.ts';
import { type HeaderList, headerValue } from '../../net/http/header-list.ts';
import { QuicDuplex } from '../../quic/duplex.ts';
import type { QuicStream } from '../../quic/stream.ts';
import { BodyFrameReader } from '../../wire/stream/body-frames.ts';
import { withoutProtocolHeaders } from '../../wire/stream/response-headers.ts';
import {
  decodeResponseHead,
  encodeRequestHead,
  measureStreamHead,
  type RequestStreamHead,
} from '../../wire/stream/stream-head.ts';
import { spansHeader } from '../../wire/stream/upgrade-header.ts';
import { heldEndMs } from '../held-end.ts';
import type { EdgeResponse, OutgoingStream } from '../transport.ts';
import { ignore, type QuicLink } from './link.ts';
import { noCode, refusedCode } from './settings.ts';

const noTrailers: HeaderList = [];

type FinalCallback = (error?: Error | null) => void;

export class QuicOutgoingStream implements OutgoingStream {
  readonly body: OutgoingBody;
  readonly response: Promise<EdgeResponse>;

  constructor(stream: QuicStream, head: RequestStreamHead, link: QuicLink) {
    this.body = new OutgoingBody(stream, head, link);
    this.response = this.body.response;
    link.track(this.body);
  }

  get trailers(): HeaderList {
    return this.body.frames?.trailers ?? noTrailers;
  }

  reset(): void {
    this.body.abort(noCode);
  }
}

class OutgoingBody extends QuicDuplex {
  readonly response: Promise<EdgeResponse>;
  /** Of an answer whose body comes in frames. */
  frames: BodyFrameReader | undefined;
  readonly #kind: RequestStreamHead['kind'];
  readonly #link: QuicLink;
  #settle = Promise.withResolvers<EdgeResponse>();
  /** The answer's head is not complete: what was read of it. */
  #reading = true;
  #headBytes: Buffer | undefined;
  /** The consumer asked for body bytes meanwhile. */
  #wanted = false;
  #halfClose: boolean;
  #heldFin: FinalCallback | undefined;
  #finTimer: NodeJS.Timeout | undefined;

  constructor(stream: QuicStream, head: RequestStreamHead, link: QuicLink) {
    super(stream, { onStop: 'discard' });
    this.#kind = head.kind;
    this.#link = link;
    this.#halfClose = head.kind === 'http';
    this.response = this.#settle.promise;
    // A stream reset before anybody awaits the response must not be an unhandled rejection.
    this.response.catch(ignore);
    const complete = head.bodyLength === 0;
    this.sendHead(encodeRequestHead(head), complete);
    if (complete) this.end();
  }

  override _read(): void {
    if (this.#reading) this.#wanted = true;
    else super._read();
  }

  override onReadable(): void {
    if (this.#reading) this.#readHead();
    else super.onReadable();
  }

  override push(chunk: Buffer | null): boolean {
    if (chunk !== null) this.#finTimer?.refresh();
    const more = this.frames === undefined ? super.push(chunk) : this.#pushFrames(this.frames, chunk);
    if (chunk === null) this.#releaseFin();
    return more;
  }

  #pushFrames(frames: BodyFrameReader, chunk: Buffer | null): boolean {
    if (chunk === null) {
      if (frames.trailers !== undefined) return super.push(null);
      this.destroy(new PosternError('stream.reset', 'The answer ended before its trailers.'));
      return false;
    }
    let more = true;
    try {
      for (const piece of frames.read(chunk)) more = super.push(piece);
    } catch (error) {
      this.destroy(error as PosternError);
      return false;
    }
    return more;
  }

  #readHead(): void {
    for (;;) {
      const chunk = this.stream.read();
      if (chunk === undefined) break;
      const bytes = this.#headBytes === undefined ? chunk : Buffer.concat([this.#headBytes, chunk]);
      this.#headBytes = bytes;
      try {
        const length = measureStreamHead(bytes);
        if (length <= bytes.length) {
          this.#headBytes = undefined;
          this.#onHead(bytes, length);
          return;
        }
      } catch (error) {
        this.#refuse(error as PosternError);
        return;
      }
    }
    const { readState, resetCode } = this.stream;
    if (readState === 'open') return;
    const refused = readState === 'reset' && resetCode === refusedCode;
    this.#refuse(
      refused
        ? new PosternError('connection.closed', 'The connector takes no new requests.')
        : new PosternError('stream.reset', 'The connector ended the stream before it answered.'),
    );
  }

  #onHead(bytes: Buffer, length: number): void {
    const answer = decodeResponseHead(this.#kind, bytes, length);
    if (answer.kind === 'refusal') {
      const failed = answer.dialRefused ? 'origin.refused' : 'origin.unreachable';
      const code = answer.rateLimited ? 'flow.limit' : failed;
      this.#refuse(new PosternError(code, answer.message));
      return;
    }
    this.#reading = false;
    this.#halfClose ||= answer.halfClose === true;
    if (this.#halfClose) this.#releaseFin();
    if (answer.isFramed === true) this.frames = new BodyFrameReader();
    this.lead(bytes.subarray(length));
    // A stock connector passes these through on QUIC (docs/protocol/edge-protocol.md §15 trap 23).
    const spans = headerValue(answer.headers, spansHeader);
    const headers = withoutProtocolHeaders(answer.headers);
    this.#settle.resolve(
      spans === undefined ? { status: answer.status, headers } : { status: answer.status, headers, spans },
    );
    if (this.#wanted) super._read();
  }

  #refuse(error: PosternError): void {
    this.#settle.reject(error);
    this.destroy();
  }

  override _final(callback: FinalCallback): void {
    if (this.#halfClose || this.readableEnded) {
      super._final(callback);
      return;
    }
    this.#heldFin = callback;
    if (!this.#reading) this.#holdFin();
  }

  #holdFin(): void {
    this.#finTimer = setTimeout(() => this.#releaseFin(), heldEndMs);
  }

  #releaseFin(): void {
    const callback = this.#dropHeldFin();
    if (callback !== undefined) super._final(callback);
  }

  /** What waits for the FIN; nothing holds it any more. */
  #dropHeldFin(): FinalCallback | undefined {
    clearTimeout(this.#finTimer);
    // A timer that was cleared would start again when refreshed.
    this.#finTimer = undefined;
    const callback = this.#heldFin;
    this.#heldFin = undefined;
    return callback;
  }

  override onStopped(code: number): void {
    this.#dropHeldFin()?.();
    super.onStopped(code);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#dropHeldFin();
    if (this.#reading) {
      const lost = this.#link.lost;
      const reason = 'before the connector answered.';
      this.#settle.reject(
        lost
          ? new PosternError('connection.lost', `The connection was lost ${reason}`)
          : new PosternError('stream.reset', `The stream ended ${reason}`),
      );
    }
    super._destroy(error, callback);
  }
}
