// The body of one request as a stream that its reader holds back.

import { Readable } from 'node:stream';
import { type BodyDecoder, createBodyDecoder } from './body-decoder.ts';

export class RequestBody extends Readable {
  /** The reader has more than it wants: the connection must not be read. */
  isFull = false;
  readonly #decoder: BodyDecoder;
  readonly #onWanted: () => void;

  /** `length`: -1 for chunked. `onWanted` is called when `isFull` ends. */
  constructor(length: number, onWanted: () => void) {
    super();
    this.#decoder = createBodyDecoder(length);
    this.#onWanted = onWanted;
    // A visitor who leaves shows as 'close' without 'end'.
    this.on('error', () => undefined);
    if (length === 0) this.push(null);
  }

  /** Whether all of it came. */
  get isComplete(): boolean {
    return this.#decoder.isDone;
  }

  /** Takes what belongs to it; returns the number of bytes, or -1 when the framing is broken. */
  feed(chunk: Buffer): number {
    const taken = this.#decoder.feed(chunk, this.#take);
    if (this.#decoder.isDone && !this.destroyed) {
      this.isFull = false;
      this.push(null);
    }
    return taken;
  }

  readonly #take = (piece: Buffer): void => {
    if (!this.destroyed && !this.push(piece)) this.isFull = true;
  };

  override _read(): void {
    if (!this.isFull) return;
    this.isFull = false;
    this.#onWanted();
  }
}
