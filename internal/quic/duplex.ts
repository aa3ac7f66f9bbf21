// A QUIC stream as Node's Duplex. Half-close works in both directions: a FIN ends the readable side only, end() the
// writable side only. A reset by the peer destroys it with 'stream.reset'; destroying it resets and stops the stream.

import { Duplex } from 'node:stream';
import { PosternError } from '../errors/error.ts';
import { heldStreams } from '../net/limits/held-streams.ts';
import { streamWindowBytes } from './settings.ts';
import type { QuicStream, StreamListener } from './stream.ts';

export interface DuplexOptions {
  /** Bytes read from the stream already, delivered first. */
  readonly leading?: Buffer | undefined;
  /**
   * What STOP_SENDING by the peer means: `reset` destroys the duplex, `discard` drops what is still written and goes on
   * reading (the peer answers without wanting the rest of the request).
   */
  readonly onStop: 'reset' | 'discard';
}

/** Bytes a side may hold above the engine's windows. */
const highWaterMark = 64 * 1024;
const nothing = Buffer.alloc(0);

type WriteCallback = (error?: Error | null) => void;

/** Takes over the stream's listener. Owns the stream: whoever destroys the duplex ends it. */
export class QuicDuplex extends Duplex implements StreamListener {
  readonly stream: QuicStream;
  #leading: Buffer | undefined;
  readonly #discard: boolean;
  /** The consumer asked for bytes that were not there. */
  #hungry = false;
  /** Counted in `heldStreams`. */
  #isHeld = false;
  /** Bytes the engine did not take yet, and whether the FIN follows them. */
  #unsent: Uint8Array | undefined;
  #unsentFin = false;
  #written: WriteCallback | undefined;
  /** Code for RESET_STREAM and STOP_SENDING when destroyed. */
  #code = 0;

  constructor(stream: QuicStream, options: DuplexOptions) {
    super({ readableHighWaterMark: highWaterMark, writableHighWaterMark: highWaterMark });
    this.stream = stream;
    this.#leading = options.leading?.length === 0 ? undefined : options.leading;
    this.#discard = options.onStop === 'discard';
    stream.listener = this;
    if (stream.stopCode !== undefined) this.onStopped(stream.stopCode);
    if (stream.lostError !== undefined) this.destroy(stream.lostError);
  }

  /** Sends bytes in front of everything written: a head. Call before the first write; what does not fit waits. */
  sendHead(bytes: Uint8Array, fin = false): void {
    const taken = this.stream.write(bytes, fin);
    if (taken < 0 || taken === bytes.length) return;
    this.#unsent = taken === 0 ? bytes : bytes.subarray(taken);
    this.#unsentFin = fin;
  }

  /** Bytes read past a head by whoever owns the stream: delivered before all others. */
  protected lead(bytes: Buffer): void {
    if (bytes.length > 0) this.#leading = bytes;
  }

  /** Ends both sides now, with `code` in RESET_STREAM and STOP_SENDING. */
  abort(code: number, error?: Error): void {
    this.#code = code;
    this.destroy(error);
  }

  override _read(): void {
    this.#hungry = false;
    if (this.#isHeld) this.#release();
    const leading = this.#leading;
    if (leading !== undefined) {
      this.#leading = undefined;
      if (!this.push(leading)) return;
    }
    const stream = this.stream;
    for (;;) {
      const bytes = stream.read();
      const more = bytes === undefined || this.push(this.readableFlowing === false ? alone(bytes) : bytes);
      if (stream.readState !== 'open') {
        this.#readEnded();
        return;
      }
      if (!more) {
        // The reader has enough for now: what comes meanwhile waits in the engine, up to the stream's window.
        this.#isHeld = true;
        heldStreams.hold(this, streamWindowBytes);
        return;
      }
      if (bytes === undefined) {
        this.#hungry = true;
        return;
      }
    }
  }

  #release(): void {
    this.#isHeld = false;
    heldStreams.release(this);
  }

  #readEnded(): void {
    const state = this.stream.readState;
    if (state === 'ended') {
      this.push(null);
      if (this.#discard && !this.stream.sending && !this.writableEnded) this.once('end', destroyThis);
    }
    if (state === 'reset') this.destroy(resetError(this.stream.resetCode));
    // Stopped and lost come with a destruction of their own.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: WriteCallback): void {
    if (this.#unsent !== undefined) {
      this.#unsent = Buffer.concat([this.#unsent, chunk]);
      this.#written = callback;
      return;
    }
    const taken = this.stream.write(chunk, false);
    if (taken === chunk.length) callback();
    else if (taken < 0) this.#cannotSend(callback);
    else {
      this.#unsent = taken === 0 ? chunk : chunk.subarray(taken);
      this.#written = callback;
    }
  }

  override _final(callback: WriteCallback): void {
    if (this.#unsent !== undefined) {
      this.#unsentFin = true;
      this.#written = callback;
      return;
    }
    if (this.stream.write(nothing, true) === 0 && this.stream.sending) {
      // The peer allows no stream yet: the FIN waits with nothing in front of it.
      this.#unsent = nothing;
      this.#unsentFin = true;
      this.#written = callback;
      return;
    }
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (this.#isHeld) this.#release();
    this.#leading = undefined;
    this.#unsent = undefined;
    this.#written = undefined;
    this.stream.reset(this.#code);
    this.stream.stop(this.#code);
    callback(error);
  }

  #cannotSend(callback: WriteCallback): void {
    if (this.#discard) callback();
    else callback(resetError(this.stream.stopCode ?? 0));
  }

  onReadable(): void {
    if (this.#hungry) this._read();
    else if (this.#leading === undefined && this.stream.checkReset()) this.#readEnded();
  }

  onWritable(): void {
    const unsent = this.#unsent;
    if (unsent === undefined) return;
    const taken = this.stream.write(unsent, this.#unsentFin);
    if (taken >= 0 && (taken < unsent.length || (this.#unsentFin && this.stream.sending))) {
      this.#unsent = unsent.subarray(taken);
      return;
    }
    const callback = this.#written;
    this.#unsent = undefined;
    this.#written = undefined;
    if (callback === undefined) return;
    if (taken < 0) this.#cannotSend(callback);
    else callback();
  }

  onStopped(code: number): void {
    if (!this.#discard) {
      this.destroy(resetError(code));
      return;
    }
    const callback = this.#written;
    this.#unsent = undefined;
    this.#written = undefined;
    callback?.();
    // Nothing more comes and nothing more can go.
    if (this.readableEnded) this.destroy();
  }

  onLost(error: Error): void {
    this.destroy(error);
  }
}

/** A copy in memory of its own: what waits for a reader that has stopped would keep the whole slab that others share. */
function alone(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

function destroyThis(this: Duplex): void {
  this.destroy();
}

function resetError(code: number): PosternError {
  return new PosternError('stream.reset', `The peer ended the stream with code ${code}`, { details: { code } });
}
