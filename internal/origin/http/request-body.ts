// Pumps a request body from the visitor's stream into the origin's socket: exact length or chunked, with back-pressure,
// and held back while a 100 (Continue) is awaited. Source: RFC 9112 §6, §7.1; RFC 9110 §10.1.1.

import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { GatheredWrites } from '../../net/stream/gathered-writes.ts';
import { countGarbage } from '../../net/stream/young-garbage.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { visitorGone } from '../exchange/failure.ts';

/** How long a body waits for 100 (Continue) before it is sent anyway (docs/protocol/ingress-and-origin.md §8.1). */
const continueTimeoutMs = 1000;

export class RequestBody {
  readonly #exchange: Pick<Exchange, 'bytesUp'>;
  readonly #source: Duplex;
  readonly #socket: Socket;
  /** Bytes left to come; -1 = chunked. */
  #left: number;
  readonly #fail: (error: Error) => void;
  #state: 'held' | 'sending' | 'finished' | 'stopped' = 'held';
  #timer: NodeJS.Timeout | undefined;
  readonly #writes: GatheredWrites;

  /** `fail` is called at most once, when the body does not have the length it should have. */
  constructor(
    exchange: Pick<Exchange, 'body' | 'bytesUp'>,
    socket: Socket,
    length: number,
    held: boolean,
    fail: (error: Error) => void,
  ) {
    this.#exchange = exchange;
    this.#source = exchange.body;
    this.#socket = socket;
    this.#writes = new GatheredWrites(socket);
    this.#left = length;
    this.#fail = fail;
    if (held) this.#timer = setTimeout(() => this.start(), continueTimeoutMs);
    else this.start();
  }

  /** Whether all of it was handed to the socket. */
  get finished(): boolean {
    return this.#state === 'finished';
  }

  /** Begins to send; without effect after the first time. */
  start(): void {
    if (this.#state !== 'held') return;
    clearTimeout(this.#timer);
    this.#state = 'sending';
    this.#source.on('data', this.#onData).on('end', this.#onEnd);
    if (this.#source.readableEnded) this.#onEnd();
  }

  /** A final response came: a body that still waits for leave is never sent. */
  holdBack(): void {
    if (this.#state === 'held') this.stop();
  }

  /** Sends no more; what is left of the source is its owner's business. */
  stop(): void {
    clearTimeout(this.#timer);
    if (this.#state === 'finished') return;
    if (this.#state === 'sending') this.#source.off('data', this.#onData).off('end', this.#onEnd).pause();
    this.#state = 'stopped';
    this.#writes.flush();
  }

  onDrain(): void {
    if (this.#state === 'sending') this.#source.resume();
  }

  readonly #onData = (chunk: Buffer): void => {
    if (chunk.length === 0) return;
    countGarbage(chunk.length);
    this.#exchange.bytesUp += chunk.length;
    const socket = this.#socket;
    this.#writes.begin();
    if (this.#left < 0) {
      socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
      socket.write(chunk);
      socket.write('\r\n', 'latin1');
    } else {
      if (chunk.length > this.#left) {
        this.#abort(new Error('the request body is longer than its Content-Length'));
        return;
      }
      this.#left -= chunk.length;
      socket.write(chunk);
    }
    if (!this.#writes.takesMore()) this.#source.pause();
  };

  readonly #onEnd = (): void => {
    if (this.#left > 0) {
      this.#abort(visitorGone());
      return;
    }
    if (this.#left < 0) this.#socket.write('0\r\n\r\n', 'latin1');
    this.#source.off('data', this.#onData).off('end', this.#onEnd);
    this.#state = 'finished';
    this.#writes.flush();
  };

  #abort(error: Error): void {
    this.stop();
    this.#fail(error);
  }
}
