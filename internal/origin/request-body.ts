// Pumps a request body from the visitor's stream into the origin's socket: exact length or chunked, with back-pressure,
// and held back while a 100 (Continue) is awaited. Source: RFC 9112 §6, §7.1; RFC 9110 §10.1.1.

import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { countGarbage } from '../net/young-garbage.ts';
import { visitorGone } from './failure.ts';

/** How long a body waits for 100 (Continue) before it is sent anyway (spec ingress-and-origin §8.1). */
const continueTimeoutMs = 1000;
/**
 * Bytes gathered into one write at most: eight DATA frames as HTTP/2 peers cut them. With a system call a frame, a third of
 * the CPU samples of an upload were in writes. Other sizes were not compared.
 */
const gatherBytes = 128 * 1024;

export class RequestBody {
  readonly #source: Duplex;
  readonly #socket: Socket;
  /** Bytes left to come; -1 = chunked. */
  #left: number;
  readonly #fail: (error: Error) => void;
  #state: 'held' | 'sending' | 'finished' | 'stopped' = 'held';
  #timer: NodeJS.Timeout | undefined;
  /** The socket is corked by us, until the turn of the event loop is over. */
  #gathering = false;

  /** `fail` is called at most once, when the body does not have the length it should have. */
  constructor(source: Duplex, socket: Socket, length: number, held: boolean, fail: (error: Error) => void) {
    this.#source = source;
    this.#socket = socket;
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
    this.flush();
  }

  onDrain(): void {
    if (this.#state === 'sending') this.#source.resume();
  }

  readonly #onData = (chunk: Buffer): void => {
    if (chunk.length === 0) return;
    countGarbage(chunk.length);
    const socket = this.#socket;
    if (!this.#gathering) {
      this.#gathering = true;
      socket.cork();
      setImmediate(flush, this);
    }
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
    if (socket.writableLength < gatherBytes) return;
    this.flush();
    // What the kernel did not take at once is the sign to wait. 'drain' follows: this much is above any high-water mark.
    if (socket.writableLength > 0) this.#source.pause();
  };

  readonly #onEnd = (): void => {
    if (this.#left > 0) {
      this.#abort(visitorGone());
      return;
    }
    if (this.#left < 0) this.#socket.write('0\r\n\r\n', 'latin1');
    this.#source.off('data', this.#onData).off('end', this.#onEnd);
    this.#state = 'finished';
    this.flush();
  };

  /** Sends what was gathered. */
  flush(): void {
    if (!this.#gathering) return;
    this.#gathering = false;
    this.#socket.uncork();
  }

  #abort(error: Error): void {
    this.stop();
    this.#fail(error);
  }
}

function flush(body: RequestBody): void {
  body.flush();
}
