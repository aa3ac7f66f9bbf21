// For disableChunkedEncoding: origins that cannot read chunked bodies (WSGI servers) get a request body of unknown length
// with a Content-Length, which means reading it to its end first. Source: spec ingress-and-origin §8.3. (The recorded
// peer sends such a request without any framing, so that the origin sees an empty body.)

import type { Cancelable, Exchange } from './exchange.ts';

/** Held in memory a request, so bounded tightly; longer bodies must announce their length. */
const maxGatheredBytes = 1024 * 1024;

/** Reads the whole request body, then calls `ready`; answers 413 when it is longer than 1 MiB. */
export function gatherBody(exchange: Exchange, ready: (body: Buffer) => void): void {
  new Gathering(exchange, ready).start();
}

class Gathering implements Cancelable {
  readonly #exchange: Exchange;
  readonly #ready: (body: Buffer) => void;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(exchange: Exchange, ready: (body: Buffer) => void) {
    this.#exchange = exchange;
    this.#ready = ready;
  }

  start(): void {
    this.#exchange.work = this;
    this.#exchange.body.on('data', this.#onData).on('end', this.#onEnd);
  }

  cancel(): void {
    this.#exchange.body.off('data', this.#onData).off('end', this.#onEnd);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes += chunk.length;
    this.#chunks.push(chunk);
    if (this.#bytes <= maxGatheredBytes) return;
    this.cancel();
    this.#exchange.body.pause();
    this.#exchange.respond(413, [], true);
  };

  readonly #onEnd = (): void => {
    this.cancel();
    this.#exchange.work = undefined;
    this.#ready(Buffer.concat(this.#chunks));
  };
}
