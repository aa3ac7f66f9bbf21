// One side of a WebSocket as a byte stream: what is written goes out as binary messages, what the other side sends in binary
// messages is read. Source: RFC 6455 §5, §7; docs/protocol/ingress-and-origin.md §10.1.
//
// Half-close: the end of the other side (its close frame, or the end of the stream below) ends reading only; `end()`
// ends the stream below, preceded by a close frame only where the other side sent one, as cloudflared sends none.

import { Duplex } from 'node:stream';
import { type FrameSink, WebSocketDecoder } from './websocket-decoder.ts';
import { frameHeader } from './websocket-frame.ts';

/**
 * cloudflared reads a message into a buffer of this size and loses what does not fit
 * (docs/protocol/ingress-and-origin.md §10.2).
 */
const maxMessageBytes = 16 * 1024;
/** Ping interval of the recorded connector: under the minute after which middle boxes drop a silent connection. */
const pingIntervalMs = 54_000;

export class WebSocketStream extends Duplex {
  readonly #lower: Duplex;
  /** First byte of the data frames we send: binary, or text for the echo of the test service. */
  readonly #opcode: number;
  readonly #isClient: boolean;
  readonly #decoder: WebSocketDecoder;
  readonly #pinger: NodeJS.Timeout;
  #closePayload: Buffer | undefined;
  #readEnded = false;
  #pending: (() => void) | undefined;

  /**
   * Takes `lower` over: it is destroyed with this stream, and the other way round. `text`: text messages instead of binary.
   * `side`: which one this is, by default the server's.
   */
  constructor(lower: Duplex, options: { readonly text?: boolean; readonly side?: 'client' | 'server' } = {}) {
    super({ allowHalfOpen: true, readableHighWaterMark: 64 * 1024, writableHighWaterMark: 64 * 1024 });
    this.#lower = lower;
    this.#isClient = options.side === 'client';
    this.#opcode = options.text === true ? 0x81 : 0x82;
    const sink: FrameSink = {
      onData: bytes => {
        if (!this.#readEnded && !this.push(bytes)) this.#lower.pause();
      },
      onPing: payload => this.#control(0x8a, payload),
      onClose: payload => {
        this.#closePayload = payload;
        this.#endReading();
      },
    };
    this.#decoder = new WebSocketDecoder(
      options.text === true ? 'text' : 'binary',
      sink,
      this.#isClient ? 'server' : 'client',
    );
    this.#pinger = setInterval(() => this.#control(0x89, Buffer.alloc(0)), pingIntervalMs).unref();
    lower
      .on('data', this.#onData)
      .on('end', this.#onEnd)
      .on('drain', this.#onDrain)
      .on('error', this.#onError)
      .on('close', this.#onClose)
      .pause();
  }

  override _read(): void {
    this.#lower.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    const lower = this.#lower;
    let flowing = true;
    lower.cork();
    for (let offset = 0; offset < chunk.length; offset += maxMessageBytes) {
      const end = Math.min(offset + maxMessageBytes, chunk.length);
      lower.write(frameHeader(this.#opcode, end - offset, this.#isClient));
      flowing = lower.write(offset === 0 && end === chunk.length ? chunk : chunk.subarray(offset, end));
    }
    lower.uncork();
    if (flowing) callback();
    else this.#pending = callback;
  }

  override _final(callback: (error?: Error | null) => void): void {
    clearInterval(this.#pinger);
    if (this.#closePayload !== undefined) this.#control(0x88, this.#closePayload);
    this.#lower.end();
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearInterval(this.#pinger);
    this.#pending = undefined;
    const lower = this.#lower;
    if (error !== null || !lower.writableEnded) lower.destroy(error ?? undefined);
    else lower.resume();
    callback(error);
  }

  readonly #onData = (chunk: Buffer): void => {
    // After its close frame a client has nothing more to say; what comes is thrown away.
    if (this.#readEnded) return;
    try {
      this.#decoder.feed(chunk);
    } catch (error) {
      this.destroy(error as Error);
    }
  };

  readonly #onEnd = (): void => this.#endReading();

  readonly #onDrain = (): void => {
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.();
  };

  readonly #onError = (error: Error): void => {
    this.destroy(error);
  };

  readonly #onClose = (): void => {
    if (!this.#readEnded || !this.writableEnded) this.destroy(new Error('the stream below was closed'));
  };

  #endReading(): void {
    if (this.#readEnded) return;
    this.#readEnded = true;
    this.push(null);
    this.#lower.resume();
  }

  /** Control frames are small and few; while the client does not read they are left out rather than queued. */
  #control(first: number, payload: Buffer): void {
    if (this.#lower.writableNeedDrain || this.#lower.writableEnded || this.#lower.destroyed) return;
    this.#lower.write(Buffer.concat([frameHeader(first, payload.length, this.#isClient), payload]));
  }
}
