// The body of a visitor's HTTP/1.1 request, cut out of what the connection brings. Source: RFC 9112 §6.3, §7.1 (chunked).
//
//   size CRLF data CRLF … 0 CRLF trailers CRLF CRLF        trailers and extensions of chunks are read and dropped

import { isToken } from '../../net/http/field-name.ts';

export interface BodyDecoder {
  readonly isDone: boolean;
  /**
   * Takes what belongs to the body and gives its data to `take`, as views; returns how many bytes that were, -1 when the
   * framing is broken. What is left belongs to the next request.
   */
  feed(chunk: Buffer, take: (piece: Buffer) => void): number;
}

/** `length`: of the body, -1 for chunked. */
export function createBodyDecoder(length: number): BodyDecoder {
  return length < 0 ? new ChunkedDecoder() : new LengthDecoder(length);
}

class LengthDecoder implements BodyDecoder {
  #left: number;

  constructor(length: number) {
    this.#left = length;
  }

  get isDone(): boolean {
    return this.#left === 0;
  }

  feed(chunk: Buffer, take: (piece: Buffer) => void): number {
    const taken = Math.min(chunk.length, this.#left);
    this.#left -= taken;
    if (taken > 0) take(taken === chunk.length ? chunk : chunk.subarray(0, taken));
    return taken;
  }
}

/** Hexadecimal digits that stay exact in a number, and perhaps extensions. */
const sizeLine = /^([0-9A-Fa-f]{1,13})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;
/** Extensions and trailers of one body: what is dropped must not be most of what is read. */
const maxDroppedBytes = 16 * 1024;
/** A line of a size without an extension. */
const plainLineBytes = 13;

class ChunkedDecoder implements BodyDecoder {
  isDone = false;
  #state: 'size' | 'data' | 'data-end' | 'trailers' = 'size';
  #left = 0;
  /** The beginning of a line whose end has not come. */
  #line = '';
  #dropped = 0;

  feed(chunk: Buffer, take: (piece: Buffer) => void): number {
    let offset = 0;
    while (offset < chunk.length && !this.isDone) {
      if (this.#state === 'data') {
        const end = Math.min(chunk.length, offset + this.#left);
        this.#left -= end - offset;
        take(chunk.subarray(offset, end));
        offset = end;
        if (this.#left === 0) this.#state = 'data-end';
        continue;
      }
      const lineFeed = chunk.indexOf(0x0a, offset);
      const end = lineFeed < 0 ? chunk.length : lineFeed + 1;
      if (end - offset + this.#line.length > maxDroppedBytes) return -1;
      this.#line += chunk.toString('latin1', offset, end);
      offset = end;
      if (lineFeed < 0) break;
      if (!this.#line.endsWith('\r\n') || !this.#takeLine(this.#line.slice(0, -2))) return -1;
      this.#line = '';
    }
    return offset;
  }

  /** False for a line that must not stand where it does. */
  #takeLine(line: string): boolean {
    if (this.#state === 'data-end') {
      this.#state = 'size';
      return line === '';
    }
    this.#dropped += this.#state === 'size' ? Math.max(0, line.length - plainLineBytes) : line.length;
    if (this.#dropped > maxDroppedBytes) return false;
    if (this.#state === 'trailers') {
      this.isDone = line === '';
      const colon = line.indexOf(':');
      return this.isDone || isToken(line.slice(0, Math.max(0, colon)));
    }
    const [, size] = sizeLine.exec(line) ?? [];
    if (size === undefined) return false;
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? 'trailers' : 'data';
    return true;
  }
}
