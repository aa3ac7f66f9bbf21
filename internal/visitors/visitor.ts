// One request of a visitor, the same for HTTP/1.1 and HTTP/2: what came in and how to answer.

import type { Duplex, Readable } from 'node:stream';
import type { HeaderList } from '../net/http/header-list.ts';
import type { TunnelId } from '../schema/api/id.ts';
import type { ResponseObserver } from './observed-response.ts';

export interface VisitorRequest {
  /** See request-id.ts. A request that a step gives on in the place of another keeps it. */
  readonly id: string;
  readonly method: string;
  /** How the visitor came. */
  readonly scheme: 'http' | 'https';
  /** Authority as sent, with port if any. */
  readonly host: string;
  /** Path with query, begins with `/`. */
  readonly path: string;
  /** Flat list as sent. */
  readonly headers: HeaderList;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** 0 none, -1 unknown. */
  readonly bodyLength: number;
  readonly body: Readable;
  /** A WebSocket upgrade: the answer is 101 and then raw bytes. */
  readonly upgrade: boolean;
  /** For the connector, which then records its part of the trace; see telemetry/tracing/trace-context.ts. */
  readonly trace?: string | undefined;
  /** Set by a step that knows where the request goes, in place of its host's route. The path is then kept out of the log. */
  readonly target?: VisitorTarget | undefined;
}

/** A tunnel, or one connector of it. */
export interface VisitorTarget {
  readonly tunnelId: TunnelId;
  /** Its connector's id (UUID); undefined = any of the tunnel. */
  readonly clientId?: string | undefined;
  /** Breaks the exchange off when it is aborted. */
  readonly signal?: AbortSignal | undefined;
}

/** Answers one request. Every method may be called after the visitor went away; then it does nothing. */
export interface VisitorResponse {
  /** Bytes of the request's body that passed so far; counted by the forwarder. */
  bytesUp: number;
  /** Lets `observer` see this answer. For steps, before they call `next`. */
  observe(observer: ResponseObserver): void;
  /** For the forwarder: the request was handed to a connection of a connector. */
  carried(): void;
  /** For the forwarder: spans that the connector recorded, as they came. */
  reported(spans: string): void;
  /** Calls `handler` once if the visitor goes away before the answer is complete. */
  onGone(handler: () => void): void;
  /** Ask for the body that the visitor announced with Expect: 100-continue. */
  continue(): void;
  /** Take no further request on this connection; over HTTP/2, where requests cannot be confused, nothing changes. */
  closeAfter(): void;
  /** Send the head and return where the body goes; undefined when there is no body to send. */
  start(status: number, headers: HeaderList, options: { readonly hasBody: boolean }): ResponseBody | undefined;
  /** Accept the upgrade and return the raw connection; undefined when this visitor cannot be upgraded. */
  upgrade(headers: HeaderList): Duplex | undefined;
}

export interface ResponseBody {
  /** False when the visitor cannot take more now: wait for `onDrain`. */
  write(chunk: Buffer): boolean;
  onDrain(handler: () => void): void;
  end(trailers: HeaderList): void;
  /** End so that the visitor sees that the body is not complete. */
  breakOff(): void;
}

/** Takes a request over; must not throw. */
export type HandleVisitor = (request: VisitorRequest, response: VisitorResponse) => void;

/**
 * Sees a request before it is forwarded: answers it, or calls `next` once, at once or later. May give `next` another request
 * in its place, and sees the answer by `response.observe`. Must not throw.
 */
export type VisitorStep = (request: VisitorRequest, response: VisitorResponse, next: HandleVisitor) => void;
