// Reads the first bytes of a stream that the peer opened: what kind it is and, for a request, its whole head. Most heads
// are complete in the first read; then nothing is allocated but the head itself. Source: docs/protocol/edge-protocol.md
// §9.2, §9.3.

import { PosternError } from '../../errors/error.ts';
import type { QuicStream, StreamListener } from '../../quic/stream.ts';
import { classifyStream, signatureBytes } from '../../wire/stream/preamble.ts';
import { measureStreamHead } from '../../wire/stream/stream-head.ts';
import { headTimeoutMs } from './settings.ts';

/** Takes the stream over once its kind is known. `bytes` is everything read; must not throw. */
export interface HeadSink {
  /** Whether requests may come here; else they are bad heads from their signature on, and nothing of them is kept. */
  readonly takesRequests: boolean;
  /** A request; its head is the first `length` bytes. */
  onRequest(stream: QuicStream, bytes: Buffer, length: number): void;
  /** An RPC stream; the messages begin in `rest`. */
  onRpc(stream: QuicStream, rest: Buffer): void;
  /** Neither, or none in time: end the stream. */
  onBadHead(stream: QuicStream, error: PosternError): void;
}

/** Reads until the kind and head of `stream` are there, then tells `sink`. A stream that ends before is dropped. */
export function readHead(stream: QuicStream, sink: HeadSink): void {
  new HeadReader(stream, sink).onReadable();
}

class HeadReader implements StreamListener {
  readonly #stream: QuicStream;
  readonly #sink: HeadSink;
  #bytes: Buffer | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: QuicStream, sink: HeadSink) {
    this.#stream = stream;
    this.#sink = sink;
    stream.listener = this;
  }

  onReadable(): void {
    for (;;) {
      const chunk = this.#stream.read();
      if (chunk === undefined) break;
      this.#bytes = this.#bytes === undefined ? chunk : Buffer.concat([this.#bytes, chunk]);
      if (this.#advance(this.#bytes)) return;
    }
    if (this.#stream.readState !== 'open')
      this.#fail(new PosternError('protocol.malformed', 'A stream ended in its head'));
    else this.#timer ??= setTimeout(() => this.#fail(late()), headTimeoutMs);
  }

  /** True when the stream was handed over. */
  #advance(bytes: Buffer): boolean {
    try {
      const kind = classifyStream(bytes);
      if (kind === undefined) return false;
      if (kind === 'rpc') {
        this.#done();
        this.#sink.onRpc(this.#stream, bytes.subarray(signatureBytes));
        return true;
      }
      if (!this.#sink.takesRequests) throw new PosternError('protocol.malformed', 'A request came where none may');
      const length = measureStreamHead(bytes);
      if (length > bytes.length) return false;
      this.#done();
      this.#sink.onRequest(this.#stream, bytes, length);
    } catch (error) {
      this.#fail(
        error instanceof PosternError
          ? error
          : new PosternError('internal', 'A head was not understood', { cause: error }),
      );
    }
    return true;
  }

  #fail(error: PosternError): void {
    this.#done();
    this.#sink.onBadHead(this.#stream, error);
  }

  #done(): void {
    clearTimeout(this.#timer);
    this.#stream.listener = undefined;
  }

  onWritable(): void {
    // Nothing is written before the head was read.
  }

  onStopped(): void {
    // The peer wants no answer; the reset that follows or the end tells the rest.
  }

  onLost(): void {
    this.#done();
  }
}

function late(): PosternError {
  return new PosternError('protocol.malformed', `The head of a stream was not complete within ${headTimeoutMs} ms`);
}
