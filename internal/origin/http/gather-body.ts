// For disableChunkedEncoding: origins that cannot read chunked bodies (WSGI servers) get a request body of unknown length
// with a Content-Length, which means reading it to its end first. Source: docs/protocol/ingress-and-origin.md §8.3. (
// cloudflared sends such a request without any framing, so that the origin sees an empty body.)

import { PosternError } from '../../errors/error.ts';
import type { Cancelable, Exchange } from '../exchange/exchange.ts';

/** Held in memory a request, so bounded tightly; longer bodies must announce their length. */
export const maxGatheredBytes = 1024 * 1024;

/** Reads the whole request body, then calls `ready`; answers 413 when it is longer than 1 MiB. */
export function gatherBody(exchange: Exchange, ready: (body: Buffer) => void): void {
  new Gathering(exchange, ready).start();
}

function tooLong(): PosternError {
  const text =
    `The body is longer than ${maxGatheredBytes} bytes and announces no length, ` +
    'which the rule of this service (disableChunkedEncoding) needs.';
  return new PosternError('protocol.too-large', text, { details: { hop: 'request' } });
}

class Gathering implements Cancelable {
  readonly #exchange: Exchange;
  readonly #ready: (body: Buffer) => void;
  /** Grows by doubling: of a body in tiny pieces the pieces would cost a hundred times their bytes. */
  #held = Buffer.allocUnsafe(4096);
  #bytes = 0;

  constructor(exchange: Exchange, ready: (body: Buffer) => void) {
    this.#exchange = exchange;
    this.#ready = ready;
  }

  start(): void {
    this.#exchange.work = this;
    this.#exchange.body.on('data', this.#onData).on('end', this.#onEnd);
  }

  cancel(): boolean {
    this.#exchange.body.off('data', this.#onData).off('end', this.#onEnd);
    return true;
  }

  readonly #onData = (chunk: Buffer): void => {
    const bytes = this.#bytes + chunk.length;
    this.#exchange.bytesUp = bytes;
    if (bytes <= maxGatheredBytes) {
      if (bytes > this.#held.length) {
        const larger = Buffer.allocUnsafe(Math.min(Math.max(bytes, this.#held.length * 2), maxGatheredBytes));
        this.#held.copy(larger, 0, 0, this.#bytes);
        this.#held = larger;
      }
      chunk.copy(this.#held, this.#bytes);
      this.#bytes = bytes;
      return;
    }
    this.cancel();
    this.#exchange.work = undefined;
    this.#exchange.body.pause();
    this.#exchange.reject(413, tooLong());
  };

  readonly #onEnd = (): void => {
    this.cancel();
    this.#exchange.work = undefined;
    this.#ready(this.#held.subarray(0, this.#bytes));
  };
}
