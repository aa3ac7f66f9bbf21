// Writes one-segment Cap'n Proto messages, framed, in depth-first order: the same layout that cloudflared writes.
// Source: docs/protocol/edge-protocol.md §6, §7.1. See capnp-reader.ts for how a pointer looks.

import { PosternError } from '../../errors/error.ts';

/** Bytes of the segment table of a one-segment frame. */
const tableBytes = 8;

/** A message being written. Ends with `finish`; then neither it nor its structs may be used. */
export class CapnpWriter {
  #bytes: Buffer;
  #end = tableBytes + 8;

  /** `sizeBytes` is a guess: the buffer grows by doubling. */
  constructor(sizeBytes = 512) {
    this.#bytes = Buffer.alloc(sizeBytes);
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  /** The root struct, with so many words of data and pointers. Call once, first. */
  root(dataWords: number, pointers: number): StructWriter {
    return this.struct(tableBytes, dataWords, pointers);
  }

  /**
   * The root pointer in the place of slot 0 of a payload, so that parameters and results, which are written into a
   * payload otherwise, become the root of a message of their own.
   */
  payload(): StructWriter {
    return new StructWriter(this, tableBytes, tableBytes);
  }

  /** The framed message; the buffer is the caller's. */
  finish(): Buffer {
    this.#bytes.writeUInt32LE((this.#end - tableBytes) / 8, 4);
    return this.#bytes.subarray(0, this.#end);
  }

  /** A new struct, pointed to by the pointer at byte `at`. */
  struct(at: number, dataWords: number, pointers: number): StructWriter {
    const start = this.#allocate((dataWords + pointers) * 8);
    // An empty struct points at itself: offset -1, which no null pointer has.
    const offset = dataWords + pointers === 0 ? -1 : (start - at - 8) / 8;
    this.#bytes.writeInt32LE(offset << 2, at);
    this.#bytes.writeUInt32LE(dataWords | (pointers << 16), at + 4);
    return new StructWriter(this, start, start + dataWords * 8);
  }

  /** A new list of `count` structs, pointed to by the pointer at byte `at`. */
  structList(at: number, count: number, dataWords: number, pointers: number): ListWriter {
    const words = count * (dataWords + pointers);
    const tag = this.#allocate(8 + words * 8);
    this.#list(at, tag, 7, words);
    this.#bytes.writeUInt32LE(count << 2, tag);
    this.#bytes.writeUInt32LE(dataWords | (pointers << 16), tag + 4);
    return new ListWriter(this, tag + 8, dataWords, pointers);
  }

  /** A new list of texts, pointed to by the pointer at byte `at`. */
  textList(at: number, texts: readonly string[]): void {
    const start = this.#allocate(texts.length * 8);
    this.#list(at, start, 6, texts.length);
    for (const [index, text] of texts.entries()) this.text(start + index * 8, text);
  }

  /** UTF-8 with the zero byte that ends a text. */
  text(at: number, text: string): void {
    const length = Buffer.byteLength(text, 'utf8');
    const start = this.#allocate(length + 1);
    this.#list(at, start, 2, length + 1);
    this.#bytes.write(text, start, length, 'utf8');
  }

  data(at: number, data: Uint8Array): void {
    const start = this.#allocate(data.length);
    this.#list(at, start, 2, data.length);
    this.#bytes.set(data, start);
  }

  /** A reference to entry `index` of the capability table. */
  capability(at: number, index: number): void {
    this.#bytes.writeUInt32LE(3, at);
    this.#bytes.writeUInt32LE(index, at + 4);
  }

  #list(at: number, start: number, size: number, count: number): void {
    if (count >= 1 << 29) throw new PosternError('protocol.too-large', `A list of ${count} elements is too long`);
    this.#bytes.writeInt32LE((((start - at - 8) / 8) << 2) | 1, at);
    this.#bytes.writeUInt32LE(((count << 3) | size) >>> 0, at + 4);
  }

  /** Zeroed bytes, rounded up to words. */
  #allocate(bytes: number): number {
    const start = this.#end;
    const end = (start + bytes + 7) & ~7;
    if (end > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(end, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, start);
      this.#bytes = grown;
    }
    this.#end = end;
    return start;
  }
}

/** A struct being written; fields not set keep their default. Offsets are those of the schemas. */
export class StructWriter {
  readonly #writer: CapnpWriter;
  readonly #data: number;
  readonly #pointers: number;

  constructor(writer: CapnpWriter, data: number, pointers: number) {
    this.#writer = writer;
    this.#data = data;
    this.#pointers = pointers;
  }

  bool(bit: number, value: boolean): this {
    const at = this.#data + (bit >>> 3);
    const bytes = this.#writer.bytes;
    bytes[at] = (bytes[at] ?? 0) | (value ? 1 << (bit & 7) : 0);
    return this;
  }

  uint8(byte: number, value: number): this {
    this.#writer.bytes.writeUInt8(value, this.#data + byte);
    return this;
  }

  uint16(byte: number, value: number): this {
    this.#writer.bytes.writeUInt16LE(value, this.#data + byte);
    return this;
  }

  int32(byte: number, value: number): this {
    this.#writer.bytes.writeInt32LE(value, this.#data + byte);
    return this;
  }

  uint32(byte: number, value: number): this {
    this.#writer.bytes.writeUInt32LE(value, this.#data + byte);
    return this;
  }

  int64(byte: number, value: bigint): this {
    this.#writer.bytes.writeBigInt64LE(value, this.#data + byte);
    return this;
  }

  uint64(byte: number, value: bigint): this {
    this.#writer.bytes.writeBigUInt64LE(value, this.#data + byte);
    return this;
  }

  /** The empty text stays a null pointer. */
  text(pointer: number, value: string): this {
    if (value !== '') this.#writer.text(this.#pointers + pointer * 8, value);
    return this;
  }

  /** Empty data stays a null pointer. */
  data(pointer: number, value: Uint8Array): this {
    if (value.length > 0) this.#writer.data(this.#pointers + pointer * 8, value);
    return this;
  }

  textList(pointer: number, values: readonly string[]): this {
    this.#writer.textList(this.#pointers + pointer * 8, values);
    return this;
  }

  capability(pointer: number, index: number): this {
    this.#writer.capability(this.#pointers + pointer * 8, index);
    return this;
  }

  struct(pointer: number, dataWords: number, pointers: number): StructWriter {
    return this.#writer.struct(this.#pointers + pointer * 8, dataWords, pointers);
  }

  structList(pointer: number, count: number, dataWords: number, pointers: number): ListWriter {
    return this.#writer.structList(this.#pointers + pointer * 8, count, dataWords, pointers);
  }
}

/** A list of structs being written. */
export class ListWriter {
  readonly #writer: CapnpWriter;
  readonly #start: number;
  readonly #dataWords: number;
  readonly #pointers: number;

  constructor(writer: CapnpWriter, start: number, dataWords: number, pointers: number) {
    this.#writer = writer;
    this.#start = start;
    this.#dataWords = dataWords;
    this.#pointers = pointers;
  }

  struct(index: number): StructWriter {
    const start = this.#start + index * (this.#dataWords + this.#pointers) * 8;
    return new StructWriter(this.#writer, start, start + this.#dataWords * 8);
  }
}
