// Cuts the bytes of an HTTP/1.1 connection into responses: heads, body pieces (views of the input), trailers.
// Source: RFC 9112 §6, §7. Heads and trailers may end their lines with a bare LF (§2.2), chunks may not; nothing may come
// after the last response.
//
//   idle ──expect()──▶ head ──┬─▶ length ──────────────▶ idle
//                      ▲  │   ├─▶ size ▶ data ▶ gap ─┐
//                 1xx  └──┘   │    ▲                 └─ size 0 ▶ trailers ▶ idle
//                             ├─▶ close ── finish() ▶ idle
//                             └─▶ raw (101)

import {
  closedEarly,
  malformedResponse,
  parseResponseHead,
  parseTrailers,
  type ResponseHead,
} from './response-head.ts';

export interface ResponseSink {
  /** An interim head (1xx, also 101) or the final one. */
  onHead(head: ResponseHead): void;
  /** A piece of the body: a view of the fed chunk. */
  onData(piece: Buffer): void;
  /** The response is complete. */
  onEnd(trailers: string[] | undefined): void;
  /** After a 101: bytes of the new protocol. */
  onRaw(piece: Buffer): void;
}

/** As much as a connector passes on over QUIC (internal/wire/stream/connect-codec.ts); memory is taken only as it comes. */
export const maxHeadBytes = 1 << 20;
/** 1xx before an answer: a 102 every ten seconds for five minutes; who sends more than that sends for ever. */
export const maxInterimHeads = 32;
/** Hex digits of a chunk size, and the whole size line with extensions. */
const maxSizeDigits = 12;
const maxLineBytes = 4096;
export const maxTrailerBytes = 64 * 1024;

type State =
  | 'idle'
  | 'head'
  | 'length'
  | 'close'
  | 'size'
  | 'extension'
  | 'line-feed'
  | 'data'
  | 'gap'
  | 'trailers'
  | 'raw';

export class ResponseParser {
  readonly #sink: ResponseSink;
  #state: State = 'idle';
  #method = 'GET';
  #upgradable = false;
  /** Bytes left of the body or the chunk; in 'size' the value so far; in 'gap' the bytes of CRLF left. */
  #left = 0;
  /** Length of the size line so far. */
  #line = 0;
  #held: Buffer | undefined;
  #heldBytes = 0;
  #touched = false;
  #interim = 0;

  constructor(sink: ResponseSink) {
    this.#sink = sink;
  }

  /** Whether a byte of the expected response has come. */
  get touched(): boolean {
    return this.#touched;
  }

  /** Announces the next response: the request's method, and whether a 101 was asked for. */
  expect(method: string, upgradable: boolean): void {
    this.#method = method;
    this.#upgradable = upgradable;
    this.#state = 'head';
    this.#touched = false;
    this.#interim = 0;
  }

  /** Whether a head has begun that has not ended. */
  get insideHead(): boolean {
    return this.#state === 'head' && this.#heldBytes > 0;
  }

  /** Takes the next bytes; throws 'origin.failed' when they break the protocol. The sink may not feed in turn. */
  feed(chunk: Buffer): void {
    this.#touched = true;
    let offset = 0;
    while (offset < chunk.length) {
      switch (this.#state) {
        case 'idle':
          throw malformedResponse('bytes after the end of the response');
        case 'head':
          offset = this.#readHead(chunk, offset);
          break;
        case 'length':
          offset = this.#readBody(chunk, offset);
          break;
        case 'close':
          this.#sink.onData(view(chunk, offset));
          return;
        case 'raw':
          this.#sink.onRaw(view(chunk, offset));
          return;
        case 'data':
          offset = this.#readChunk(chunk, offset);
          break;
        case 'trailers':
          offset = this.#readTrailers(chunk, offset);
          break;
        default:
          this.#sizeByte(chunk[offset] as number);
          offset += 1;
      }
    }
  }

  /** The connection ended; throws 'origin.failed' when a response is cut off. */
  finish(): void {
    if (this.#state === 'idle' || this.#state === 'raw') return;
    if (this.#state !== 'close') throw closedEarly(this.#touched);
    this.#end(undefined);
  }

  #end(trailers: string[] | undefined): void {
    this.#state = 'idle';
    this.#sink.onEnd(trailers);
  }

  #readHead(chunk: Buffer, offset: number): number {
    const section = this.#section(chunk, offset, maxHeadBytes, 'head');
    if (section === undefined) return chunk.length;
    const head = parseResponseHead(section.text, this.#method);
    if (head.status === 101) {
      if (!this.#upgradable) throw malformedResponse('status 101 without being asked for');
      this.#state = 'raw';
      this.#sink.onHead(head);
      return section.next;
    }
    if (head.status < 200) {
      this.#interim += 1;
      if (this.#interim > maxInterimHeads) throw malformedResponse(`more than ${maxInterimHeads} interim responses`);
      this.#sink.onHead(head);
      return section.next;
    }
    const { framing } = head;
    switch (framing.kind) {
      case 'none':
        this.#state = 'idle';
        break;
      case 'length':
        this.#state = 'length';
        this.#left = framing.bytes;
        break;
      case 'chunked':
        this.#startSize();
        break;
      case 'until-close':
        this.#state = 'close';
        break;
    }
    this.#sink.onHead(head);
    if (framing.kind === 'none') this.#sink.onEnd(undefined);
    return section.next;
  }

  #readBody(chunk: Buffer, offset: number): number {
    const bytes = Math.min(this.#left, chunk.length - offset);
    this.#left -= bytes;
    this.#sink.onData(view(chunk, offset, offset + bytes));
    if (this.#left === 0) this.#end(undefined);
    return offset + bytes;
  }

  #readChunk(chunk: Buffer, offset: number): number {
    const bytes = Math.min(this.#left, chunk.length - offset);
    this.#left -= bytes;
    if (this.#left === 0) {
      this.#state = 'gap';
      this.#left = 2;
    }
    this.#sink.onData(view(chunk, offset, offset + bytes));
    return offset + bytes;
  }

  #startSize(): void {
    this.#state = 'size';
    this.#left = 0;
    this.#line = 0;
  }

  /** One byte of what surrounds chunks: size, extension, line ends. */
  #sizeByte(byte: number): void {
    switch (this.#state) {
      case 'size': {
        const digit = hexDigit(byte);
        if (digit >= 0) {
          this.#line += 1;
          if (this.#line > maxSizeDigits) throw malformedResponse('chunk size too large');
          this.#left = this.#left * 16 + digit;
        } else if (this.#line === 0) throw malformedResponse('chunk size missing');
        else if (byte === 13) this.#state = 'line-feed';
        else if (byte === 59 || byte === 32 || byte === 9) this.#state = 'extension';
        else throw malformedResponse('bad chunk size');
        return;
      }
      case 'extension':
        this.#line += 1;
        if (this.#line > maxLineBytes || (byte < 32 && byte !== 13 && byte !== 9) || byte === 127)
          throw malformedResponse('bad chunk extension');
        if (byte === 13) this.#state = 'line-feed';
        return;
      case 'line-feed':
        if (byte !== 10) throw malformedResponse('bare CR after a chunk size');
        this.#state = this.#left === 0 ? 'trailers' : 'data';
        return;
      default:
        if (byte !== (this.#left === 2 ? 13 : 10)) throw malformedResponse('chunk longer than its size');
        this.#left -= 1;
        if (this.#left === 0) this.#startSize();
    }
  }

  #readTrailers(chunk: Buffer, offset: number): number {
    if (this.#heldBytes === 0 && chunk.length - offset >= 2 && chunk[offset] === 13 && chunk[offset + 1] === 10) {
      this.#end(undefined);
      return offset + 2;
    }
    const section = this.#section(chunk, offset, maxTrailerBytes, 'trailers');
    if (section === undefined) return chunk.length;
    this.#end(section.text === '' ? undefined : parseTrailers(section.text));
    return section.next;
  }

  /** Text up to the empty line, across chunks; undefined when it is not there yet and everything was kept. */
  #section(chunk: Buffer, offset: number, maxBytes: number, what: 'head' | 'trailers'): Section | undefined {
    if (this.#heldBytes === 0) {
      const end = endOfSection(chunk, offset, chunk.length);
      if (end !== undefined) {
        if (end.text - offset > maxBytes) throw malformedResponse(`${what} longer than ${maxBytes} bytes`);
        return { text: chunk.toString('latin1', offset, end.text), next: end.next };
      }
    }
    return this.#heldSection(chunk, offset, maxBytes, what);
  }

  #heldSection(chunk: Buffer, offset: number, maxBytes: number, what: 'head' | 'trailers'): Section | undefined {
    const before = this.#heldBytes;
    const total = before + chunk.length - offset;
    const limit = maxBytes + 4;
    const take = Math.min(total, limit) - before;
    const held = this.#grow(before + take);
    chunk.copy(held, before, offset, offset + take);
    this.#heldBytes = before + take;
    // A trailer section may also be empty: just CRLF.
    if (what === 'trailers' && this.#heldBytes >= 2 && held[0] === 13 && held[1] === 10) {
      this.#heldBytes = 0;
      return { text: '', next: offset + 2 - before };
    }
    const end = endOfSection(held, Math.max(0, before - 3), this.#heldBytes);
    if (end !== undefined) {
      this.#heldBytes = 0;
      this.#held = undefined;
      return { text: held.toString('latin1', 0, end.text), next: offset + end.next - before };
    }
    // Some other protocol, whose server may now wait for us.
    if (what === 'head' && this.#heldBytes >= 5 && held.toString('latin1', 0, 5) !== 'HTTP/')
      throw malformedResponse(
        `it begins with ${JSON.stringify(held.toString('latin1', 0, Math.min(32, this.#heldBytes)))}`,
      );
    if (total >= limit) throw malformedResponse(`${what} longer than ${maxBytes} bytes`);
    return undefined;
  }

  #grow(bytes: number): Buffer {
    const held = this.#held;
    if (held !== undefined && held.length >= bytes) return held;
    const larger = Buffer.allocUnsafe(Math.max(1024, bytes, (held?.length ?? 0) * 2));
    held?.copy(larger, 0, 0, this.#heldBytes);
    this.#held = larger;
    return larger;
  }
}

interface Section {
  readonly text: string;
  /** Offset in the chunk after the section. */
  readonly next: number;
}

/**
 * Where a section ends: its text, and what comes after the empty line. Lines end with CRLF or LF, so an empty line is
 * whichever of `LF LF` and `LF CR LF` comes first.
 */
function endOfSection(bytes: Buffer, from: number, to: number): { text: number; next: number } | undefined {
  const whole = bytes.length === to ? bytes : bytes.subarray(0, to);
  const withReturn = whole.indexOf(emptyLineWithReturn, from);
  const bare = (withReturn === -1 ? whole : whole.subarray(0, withReturn + 1)).indexOf(emptyLineBare, from);
  const at = bare === -1 ? withReturn : bare;
  if (at === -1) return undefined;
  return { text: at > 0 && whole[at - 1] === 13 ? at - 1 : at, next: at + (bare === -1 ? 3 : 2) };
}

const emptyLineWithReturn = Buffer.from('\n\r\n');
const emptyLineBare = Buffer.from('\n\n');

/** The whole chunk itself where possible: most reads hold nothing but body. */
function view(chunk: Buffer, start: number, end = chunk.length): Buffer {
  return start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end);
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  if (byte >= 97 && byte <= 102) return byte - 87;
  if (byte >= 65 && byte <= 70) return byte - 55;
  return -1;
}
