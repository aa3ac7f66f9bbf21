// One request stream at the connector's end: answers it and ends it by the rules. Source:
// docs/protocol/edge-protocol.md §9.3.
//
// Ending: an http answer that is complete stops what is left of the request. tcp and websocket end one direction at a
// time when the edge asked for it (`halfClose`, our own edge); a stock edge gets what a stock connector does, the whole
// stream ended when either direction is.

import { type HeaderList, headerValue } from '../../net/http/header-list.ts';
import { QuicDuplex } from '../../quic/duplex.ts';
import type { QuicStream } from '../../quic/stream.ts';
import { encodeBodyEnd, encodeBodyFrame } from '../../wire/stream/body-frames.ts';
import { withoutProtocolHeaders } from '../../wire/stream/response-headers.ts';
import { encodeRefusalHead, encodeResponseHead, type RequestStreamHead } from '../../wire/stream/stream-head.ts';
import { spansHeader } from '../../wire/stream/upgrade-header.ts';
import type { IncomingStream, RequestHead, ResponseHead, StreamRefusal } from '../transport.ts';
import { noCode } from './settings.ts';

export class QuicIncomingStream implements IncomingStream {
  readonly head: RequestHead;
  readonly body: IncomingBody;
  readonly #halfClose: boolean;
  readonly #takesFrames: boolean;
  #answered = false;

  constructor(stream: QuicStream, head: RequestStreamHead, leading: Buffer) {
    this.head = head;
    this.#halfClose = head.halfClose === true;
    this.#takesFrames = head.kind === 'http' && head.takesFrames === true;
    this.body = new IncomingBody(stream, { leading, onStop: 'reset' });
    if (head.kind === 'http') this.body.once('finish', destroyThis);
    else if (!this.#halfClose) this.body.once('finish', destroyThis).once('end', endThis);
  }

  respond(head: ResponseHead, options?: { endStream?: boolean }): void {
    if (this.#answered) return;
    this.#answered = true;
    const endStream = options?.endStream === true;
    const isFramed = this.#takesFrames && !endStream && headerValue(head.headers, 'content-length') === undefined;
    const sent = head.spans === undefined ? head : { ...head, headers: withSpans(head.headers, head.spans) };
    this.body.sendHead(encodeResponseHead(this.head.kind, sent, this.#halfClose, isFramed), endStream);
    if (isFramed) this.body.trailers = [];
    if (endStream) this.body.end();
  }

  trailers(list: HeaderList): boolean {
    if (this.body.trailers === undefined) return false;
    this.body.trailers = list;
    return true;
  }

  refuse(refusal: StreamRefusal): void {
    if (this.#answered) {
      this.reset();
      return;
    }
    this.#answered = true;
    this.body.sendHead(encodeRefusalHead(refusal), true);
    this.body.end(destroyThis.bind(this.body));
  }

  reset(): void {
    this.body.abort(noCode);
  }
}

function withSpans(headers: HeaderList, spans: string): HeaderList {
  const list = withoutProtocolHeaders(headers);
  return spans === '' ? list : [...list, spansHeader, spans];
}

class IncomingBody extends QuicDuplex {
  /** Follow the body; undefined: the body is sent as it is, and none can follow. */
  trailers: HeaderList | undefined;

  override _write(chunk: Buffer, encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    super._write(this.trailers === undefined ? chunk : encodeBodyFrame(chunk), encoding, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (this.trailers === undefined) {
      super._final(callback);
      return;
    }
    super._write(encodeBodyEnd(this.trailers), 'latin1', error => {
      if (error) callback(error);
      else super._final(callback);
    });
  }
}

/** All was sent: what the peer still sends is not wanted. After a destruction nothing happens. */
function destroyThis(this: QuicDuplex): void {
  this.destroy();
}

/** The stock way: the end of one direction ends the other. */
function endThis(this: QuicDuplex): void {
  this.end();
}
