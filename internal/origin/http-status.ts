// The fixed-response service `http_status:N`: the status, no headers, no body. Source: spec ingress-and-origin §13.

import type { Exchange, Origin } from './exchange.ts';

export class HttpStatusOrigin implements Origin {
  readonly #status: number;

  constructor(status: number) {
    this.#status = status;
  }

  serve(exchange: Exchange): void {
    exchange.respond(this.#status, [], true);
  }

  async close(): Promise<void> {
    // Holds nothing.
  }
}
