// The fixed-response service `http_status:N`: the status, no headers, no body. Source:
// docs/protocol/ingress-and-origin.md §13.

import { PosternError } from '../../errors/error.ts';
import type { Exchange, Origin } from '../exchange/exchange.ts';

export class HttpStatusOrigin implements Origin {
  readonly #status: number;

  constructor(status: number) {
    this.#status = status;
  }

  serve(exchange: Exchange): void {
    // A 1xx can be configured, but a request cannot be answered with it for good.
    if (this.#status < 200) {
      exchange.fail(new PosternError('origin.failed', `http_status:${this.#status} is not a final status.`));
      return;
    }
    exchange.respond(this.#status, [], true);
  }

  async close(): Promise<void> {
    // Holds nothing.
  }
}
