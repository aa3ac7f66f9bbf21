// The body of an answer over QUIC in frames, where trailers may follow it: the raw stream that stock peers use has no place
// for them. Between our own ends only, and only where the edge asked (stream-head.ts).
//
//   length u32 > 0 | bytes …      any number of times
//   0 u32 | length u32 | trailers as response-headers.ts serialises them      once, then FIN
//
// A stream that ends before its trailers did not end well.

import { PosternError } from '../../errors/error.ts';
import { decodeResponseHeaders, encodeResponseHeaders } from './response-headers.ts';

/** As an HTTP/2 connector takes headers; gRPC's status and message are far below. */
export const maxTrailerBytes = 65_536;
const lengthBytes = 4;
const nothing: Buffer = Buffer.alloc(0);

/** Wraps body bytes; at least one. */
export function encodeBodyFrame(bytes: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(lengthBytes + bytes.length);
  frame.writeUInt32BE(bytes.length, 0);
  frame.set(bytes, lengthBytes);
  return frame;
}

/**
 * Ends the body. Names become lower case, as over HTTP/2. Trailers that are too large are left out: the body before them
 * is whole.
 */
export function encodeBodyEnd(trailers: readonly string[]): Buffer {
  const text = encodeResponseHeaders(trailers.map((each, index) => (index % 2 === 0 ? each.toLowerCase() : each)));
  const kept = text.length > maxTrailerBytes ? '' : text;
  const end = Buffer.allocUnsafe(2 * lengthBytes + kept.length);
  end.writeUInt32BE(0, 0);
  end.writeUInt32BE(kept.length, lengthBytes);
  end.write(kept, 2 * lengthBytes, 'latin1');
  return end;
}

/** Takes the frames apart again, in pieces of any size. */
export class BodyFrameReader {
  /** Complete once the end has been read. */
  trailers: readonly string[] | undefined;
  #state: 'length' | 'body' | 'trailer-length' | 'trailers' = 'length';
  /** Bytes still to come in this state. */
  #left = lengthBytes;
  /** What came of a length or of the trailers. */
  #held: Buffer = nothing;

  /** The body bytes in `chunk`, as views. Throws 'protocol.malformed' and 'protocol.too-large'. */
  read(chunk: Buffer): Buffer[] {
    const pieces: Buffer[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.trailers !== undefined)
        throw new PosternError('protocol.malformed', 'Bytes follow the trailers of an answer');
      const piece = chunk.subarray(at, at + this.#left);
      at += piece.length;
      this.#left -= piece.length;
      if (this.#state === 'body') pieces.push(piece);
      else this.#held = this.#held.length === 0 ? piece : Buffer.concat([this.#held, piece]);
      if (this.#left === 0) this.#next();
    }
    return pieces;
  }

  #next(): void {
    const held = this.#held;
    this.#held = nothing;
    switch (this.#state) {
      case 'length': {
        const length = held.readUInt32BE(0);
        this.#enter(length === 0 ? 'trailer-length' : 'body', length === 0 ? lengthBytes : length);
        break;
      }
      case 'body':
        this.#enter('length', lengthBytes);
        break;
      case 'trailer-length': {
        const length = held.readUInt32BE(0);
        if (length > maxTrailerBytes)
          throw new PosternError(
            'protocol.too-large',
            `Trailers of ${length} bytes; at most ${maxTrailerBytes} may be`,
          );
        if (length === 0) this.trailers = [];
        else this.#enter('trailers', length);
        break;
      }
      case 'trailers':
        this.trailers = decodeResponseHeaders(held.toString('latin1'));
        break;
    }
  }

  #enter(state: 'length' | 'body' | 'trailer-length' | 'trailers', bytes: number): void {
    this.#state = state;
    this.#left = bytes;
  }
}
