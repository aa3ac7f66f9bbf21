// The part of an answer that steps see, the same for HTTP/1.1 and HTTP/2: its head before it is sent, and its end.

import type { Duplex } from 'node:stream';
import type { HeaderList } from '../net/http/header-list.ts';

/** Sees one answer. Its methods must not throw. */
export interface ResponseObserver {
  /** The request was handed to a connection of a connector; again when it is tried with another. */
  carried?(): void;
  /** Spans of the connector came with the head of its answer: base64 of OTLP, if it is honest. */
  reported?(spans: string): void;
  /**
   * The head is about to be sent, 101 for an upgrade: returns the headers to send. Those that frame the message
   * (Content-Length, Transfer-Encoding, Connection, Upgrade) must stay as they are.
   */
  head?(status: number, headers: HeaderList): HeaderList;
  /** The upgrade was accepted: what passes now is raw bytes. Destroying the connection ends it for both sides. */
  upgraded?(connection: Duplex): void;
  /** Called once, at the end of the answer or when there will be none. */
  ended?(how: ResponseEnd, bytes: BodyBytes): void;
}

/** `failed`: the tunnel could not finish it; `gone`: the visitor left. */
export type ResponseEnd = 'complete' | 'failed' | 'gone';

/** Bytes of the two bodies that passed; what follows an upgrade is no body. */
export interface BodyBytes {
  readonly bytesUp: number;
  readonly bytesDown: number;
}

const nobody: readonly ResponseObserver[] = [];

/** What both kinds of responses are built on. */
export class ObservedResponse implements BodyBytes {
  /** Counted by whoever forwards the request. */
  bytesUp = 0;
  bytesDown = 0;
  #observers = nobody;
  #hasEnded = false;

  /** Lets `observer` see this answer. For steps, before they call `next`. */
  observe(observer: ResponseObserver): void {
    this.#observers = this.#observers === nobody ? [observer] : [...this.#observers, observer];
  }

  /** For the forwarder. */
  carried(): void {
    for (const observer of this.#observers) observer.carried?.();
  }

  /** For the forwarder. */
  reported(spans: string): void {
    for (const observer of this.#observers) observer.reported?.(spans);
  }

  protected get isObserved(): boolean {
    return this.#observers !== nobody;
  }

  /** The innermost step, which registered last, sees the head first. */
  protected headToSend(status: number, given: HeaderList): HeaderList {
    let headers = given;
    for (let index = this.#observers.length - 1; index >= 0; index -= 1)
      headers = this.#observers[index]?.head?.(status, headers) ?? headers;
    return headers;
  }

  protected tellUpgraded(connection: Duplex): void {
    for (const observer of this.#observers) observer.upgraded?.(connection);
  }

  /** Idempotent. */
  protected tellEnd(how: ResponseEnd): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    for (const observer of this.#observers) observer.ended?.(how, this);
  }
}
