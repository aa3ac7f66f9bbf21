// Protobuf messages, written from their end: the length of a message is known when it is written, and nothing is copied
// together. What comes last in a message is written first. Source: the encoding of protobuf.

/** Kinds of fields. */
export const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** Enough for the report of one request. */
const firstBytes = 1_024;

export class BackwardWriter {
  #buffer = Buffer.allocUnsafe(firstBytes);
  #start = firstBytes;

  /** What was written; the writer's own memory. */
  get bytes(): Buffer {
    return this.#buffer.subarray(this.#start);
  }

  /** A message: what `write` writes becomes its content. */
  message(field: number, write: () => void): void {
    const end = this.#buffer.length - this.#start;
    write();
    this.#head(field, this.#buffer.length - this.#start - end);
  }

  text(field: number, value: string): void {
    const length = Buffer.byteLength(value);
    const at = this.#take(length);
    this.#buffer.write(value, at);
    this.#head(field, length);
  }

  hex(field: number, value: string): void {
    const length = value.length / 2;
    const at = this.#take(length);
    this.#buffer.write(value, at, 'hex');
    this.#head(field, length);
  }

  /** `value`: a whole number, also below 0. */
  varint(field: number, value: number): void {
    if (value >= 0) this.#varint(value);
    else this.#longVarint(BigInt.asUintN(64, BigInt(value)));
    this.#varint(field * 8 + wire.varint);
  }

  fixed64(field: number, value: bigint): void {
    const at = this.#take(8);
    this.#buffer.writeBigUInt64LE(value, at);
    this.#varint(field * 8 + wire.fixed64);
  }

  double(field: number, value: number): void {
    const at = this.#take(8);
    this.#buffer.writeDoubleLE(value, at);
    this.#varint(field * 8 + wire.fixed64);
  }

  #head(field: number, length: number): void {
    this.#varint(length);
    this.#varint(field * 8 + wire.bytes);
  }

  #varint(value: number): void {
    if (value < 0x80) {
      const only = this.#take(1);
      this.#buffer[only] = value;
      return;
    }
    let length = 2;
    for (let rest = Math.floor(value / 0x4000); rest > 0; rest = Math.floor(rest / 0x80)) length += 1;
    let at = this.#take(length);
    let rest = value;
    for (; length > 1; length -= 1) {
      this.#buffer[at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[at] = rest;
  }

  /** Of a number below 0, which always has ten bytes. */
  #longVarint(value: bigint): void {
    const at = this.#take(10);
    for (let index = 0; index < 10; index += 1)
      this.#buffer[at + index] = Number((value >> BigInt(7 * index)) & 0x7fn) | (index < 9 ? 0x80 : 0);
  }

  /** Where so many bytes go, in front of the others. May move all of them to another buffer. */
  #take(length: number): number {
    if (length > this.#start) {
      const used = this.bytes;
      const grown = Buffer.allocUnsafe(2 * (used.length + length));
      this.#start = grown.length - used.length;
      used.copy(grown, this.#start);
      this.#buffer = grown;
    }
    this.#start -= length;
    return this.#start;
  }
}
