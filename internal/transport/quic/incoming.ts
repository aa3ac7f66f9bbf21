// One request stream at the connector's end: answers it and ends it by the rules. Source: spec edge-protocol §9.3.
//
// Ending: an http answer that is complete stops what is left of the request. tcp and websocket end one direction at a
// time when the edge asked for it (`halfClose`, our own edge); a stock edge gets what a stock connector does, the whole
// stream ended when either direction is.

import { QuicDuplex } from '../../quic/duplex.ts';
import type { QuicStream } from '../../quic/stream.ts';
import { encodeRefusalHead, encodeResponseHead, type RequestStreamHead } from '../../wire/stream-head.ts';
import type { IncomingStream, RequestHead, ResponseHead, StreamRefusal } from '../transport.ts';
import { noCode } from './settings.ts';

export class QuicIncomingStream implements IncomingStream {
  readonly head: RequestHead;
  readonly body: QuicDuplex;
  readonly #halfClose: boolean;
  #answered = false;

  constructor(stream: QuicStream, head: RequestStreamHead, leading: Buffer) {
    this.head = head;
    this.#halfClose = head.halfClose === true;
    this.body = new QuicDuplex(stream, { leading, onStop: 'reset' });
    if (head.kind === 'http') this.body.once('finish', destroyThis);
    else if (!this.#halfClose) this.body.once('finish', destroyThis).once('end', endThis);
  }

  respond(head: ResponseHead, options?: { endStream?: boolean }): void {
    if (this.#answered) return;
    this.#answered = true;
    const endStream = options?.endStream === true;
    const { kind } = this.head;
    if (kind !== 'configuration') this.body.sendHead(encodeResponseHead(kind, head, this.#halfClose), endStream);
    if (endStream) this.body.end();
  }

  trailers(): boolean {
    return false;
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

/** All was sent: what the peer still sends is not wanted. After a destruction nothing happens. */
function destroyThis(this: QuicDuplex): void {
  this.destroy();
}

/** The stock way: the end of one direction ends the other. */
function endThis(this: QuicDuplex): void {
  this.end();
}
