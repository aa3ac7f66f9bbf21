// What an origin serves: one request with the place its answer goes, and the origin behind an ingress rule. Interfaces
// only; internal/proxy makes exchanges out of transport streams. Source: docs/protocol/ingress-and-origin.md §8–10.

import type { Duplex } from 'node:stream';
import type { PosternError } from '../../errors/error.ts';
import type { HeaderList } from '../../net/http/header-list.ts';

export interface ExchangeHead {
  readonly kind: 'http' | 'websocket';
  readonly method: string;
  readonly scheme: string;
  /** Host as received, with optional port. */
  readonly host: string;
  /** Path with query, begins with `/`; `*` of an OPTIONS about the server as a whole. */
  readonly path: string;
  readonly headers: HeaderList;
  /** Bytes of request body; 0 = none, -1 = unknown. */
  readonly bodyLength: number;
}

/** A running request at an origin, which is told once when the visitor has gone. */
export interface Cancelable {
  /** Returns whether the answer was still incomplete, so that there was something to give up. */
  cancel(): boolean;
}

/**
 * One request and its answer. The origin ends it in exactly one way: `respond` and ending `body`, or `fail`.
 * After `fail` or after `work.cancel()` it must not touch `body` again.
 */
export interface Exchange {
  readonly head: ExchangeHead;
  /** Request body in, response body out; writable after `respond`. */
  readonly body: Duplex;
  /** Bytes of both bodies so far, counted by whoever copies them; what follows an upgrade is no body. */
  bytesUp: number;
  bytesDown: number;
  /** Set by the origin: what to cancel when `body` closes early. */
  work: Cancelable | undefined;
  /** Sends the response head, once; `endStream` when no body follows. */
  respond(status: number, headers: HeaderList, endStream?: boolean): void;
  /** Trailers after the body; call before `body.end()`. */
  trailers(list: HeaderList): void;
  /** The request is refused here, in place of `respond`: logged, and answered with `status` and the error's message. */
  reject(status: number, error: PosternError): void;
  /** The request failed here: logged once, and told to the edge (before `respond`) or the stream reset (after). */
  fail(error: PosternError): void;
}

/** The origin service behind one ingress rule. */
export interface Origin {
  /** Serves one exchange. Never throws. */
  serve(exchange: Exchange): void;
  /** Takes no new work and frees idle connections; called when the last exchange has ended. Never rejects. */
  close(): Promise<void>;
}
