// Reads Cap'n Proto messages in any valid layout: several segments, far and double-far pointers, structs longer or
// shorter than known, lists upgraded to structs. Every pointer is checked against its segment, and what is read in all
// is limited, so that a small message cannot pretend to hold a large one. Source: docs/protocol/edge-protocol.md §6,
// §7.1.
//
//   pointer (8 bytes)  struct: 0 | offset<<2 , data words u16, pointers u16     list: 1 | offset<<2 , size | count<<3
//                      far:    2 | double<<2 | word<<3 , segment                capability: 3 , index
//
// There is no depth limit because nothing here recurses: callers follow only the paths of their schema.

import { PosternError } from '../../errors/error.ts';

/** Words that may be read beyond twice the message's own size: room for empty structs in lists, which take no space. */
const spareWords = 8192;

/** Bytes of one element for the list sizes void, bit, byte, two, four, eight bytes and pointer. */
const elementBytes = [0, 0, 1, 2, 4, 8, 8];

const nullPointer = 0;
const listPointer = 1;
const farPointer = 2;
const capabilityPointer = 3;

/** One message. Readers made from it are views of its segments. */
export class CapnpMessage {
  readonly segments: readonly Buffer[];
  #budgetWords: number;

  // Where the pointer resolved last leads: fields instead of a result object, because this is the hot path.
  #low = 0;
  #high = 0;
  #segment: Buffer;
  #start = 0;

  constructor(segments: readonly Buffer[]) {
    const first = segments[0];
    if (first === undefined || first.length < 8) throw malformed('A message has no root pointer');
    this.segments = segments;
    this.#segment = first;
    let bytes = 0;
    for (const segment of segments) bytes += segment.length;
    this.#budgetWords = spareWords + bytes / 4;
  }

  /** The root struct; a null root reads as an empty struct. */
  root(): StructReader {
    return this.structAt(this.segments[0] ?? Buffer.alloc(0), 0);
  }

  /** Whether the pointer at byte `at` of `segment` is null. */
  isNull(segment: Buffer, at: number): boolean {
    return int32(segment, at) === nullPointer && int32(segment, at + 4) === 0;
  }

  /** The struct that the pointer at byte `at` of `segment` leads to. Null reads as an empty struct. */
  structAt(segment: Buffer, at: number): StructReader {
    if (!this.#resolve(segment, at)) return new StructReader(this, segment, 0, 0, 0, 0);
    if ((this.#low & 3) !== 0) throw malformed('A pointer should lead to a struct');
    const dataBytes = (this.#high & 0xffff) * 8;
    const pointers = this.#high >>> 16;
    this.#take(dataBytes / 8 + pointers, 1);
    return new StructReader(this, this.#segment, this.#start, dataBytes, this.#start + dataBytes, pointers);
  }

  /** The bytes of a Data field as a view; empty for null. */
  bytesAt(segment: Buffer, at: number): Buffer {
    if (!this.#resolve(segment, at)) return Buffer.alloc(0);
    const length = this.#byteList();
    return this.#segment.subarray(this.#start, this.#start + length);
  }

  /** A Text field; `''` for null. 'latin1' keeps every byte as one character, as HTTP header values need. */
  textAt(segment: Buffer, at: number, encoding: 'utf8' | 'latin1'): string {
    if (!this.#resolve(segment, at)) return '';
    const length = this.#byteList();
    if (length === 0) return '';
    const end = this.#start + length - 1;
    if (this.#segment[end] !== 0) throw malformed('A text does not end with a zero byte');
    return encoding === 'latin1'
      ? this.#segment.toString('latin1', this.#start, end)
      : this.#segment.toString('utf8', this.#start, end);
  }

  /** A list whose elements are read as structs or pointers; empty for null. */
  listAt(segment: Buffer, at: number): ListReader {
    if (!this.#resolve(segment, at)) return new ListReader(this, segment, 0, 0, 0, 0, 0);
    if ((this.#low & 3) !== listPointer) throw malformed('A pointer should lead to a list');
    const size = this.#high & 7;
    const count = this.#high >>> 3;
    if (size === 7) return this.#compositeList(count);
    if (size === 1) throw malformed('A list of bits cannot be read as structs');
    const step = elementBytes[size] ?? 0;
    const words = (count * step + 7) >>> 3;
    this.#take(words, count);
    return new ListReader(this, this.#segment, this.#start, count, step, size === 6 ? 0 : step, size === 6 ? 1 : 0);
  }

  /** The index into the capability table that the pointer at `at` names; undefined when it is no capability. */
  capabilityAt(segment: Buffer, at: number): number | undefined {
    if (!this.#resolve(segment, at)) return undefined;
    return this.#low === capabilityPointer ? this.#high : undefined;
  }

  #compositeList(words: number): ListReader {
    this.#take(words + 1, 0);
    const tagLow = int32(this.#segment, this.#start);
    const tagHigh = int32(this.#segment, this.#start + 4);
    if ((tagLow & 3) !== 0) throw malformed('A list of structs has no struct tag');
    const count = tagLow >>> 2;
    const dataBytes = (tagHigh & 0xffff) * 8;
    const pointers = tagHigh >>> 16;
    const stepWords = dataBytes / 8 + pointers;
    if (count * stepWords > words) throw malformed('A list of structs is longer than its pointer says');
    if (stepWords === 0) this.#charge(count);
    return new ListReader(this, this.#segment, this.#start + 8, count, stepWords * 8, dataBytes, pointers);
  }

  #byteList(): number {
    if ((this.#low & 3) !== listPointer || (this.#high & 7) !== 2) throw malformed('A pointer should lead to bytes');
    const length = this.#high >>> 3;
    this.#take((length + 7) >>> 3, 1);
    return length;
  }

  /** Checks that `words` from the target on lie inside its segment, and charges them, or `minimum` if that is more. */
  #take(words: number, minimum: number): void {
    if (this.#start < 0 || this.#start + words * 8 > this.#segment.length)
      throw malformed('A pointer leads outside of its segment');
    this.#charge(Math.max(words, minimum));
  }

  #charge(words: number): void {
    this.#budgetWords -= words;
    if (this.#budgetWords < 0)
      throw new PosternError('protocol.too-large', 'A message refers to its own contents too often');
  }

  /** Follows far pointers; false for a null pointer. */
  #resolve(segment: Buffer, at: number): boolean {
    const low = int32(segment, at);
    const high = int32(segment, at + 4);
    if (low === nullPointer && high === 0) return false;
    if ((low & 3) === farPointer) {
      this.#resolveFar(low >>> 0, high);
      return true;
    }
    this.#low = low;
    this.#high = high >>> 0;
    this.#segment = segment;
    this.#start = at + 8 + (low >> 2) * 8;
    return true;
  }

  #resolveFar(low: number, segmentId: number): void {
    const isDouble = (low & 4) !== 0;
    const pad = (low >>> 3) * 8;
    const segment = this.segments[segmentId];
    if (segment === undefined || pad + (isDouble ? 16 : 8) > segment.length)
      throw malformed('A far pointer leads outside of the message');
    this.#charge(1);
    const padLow = int32(segment, pad);
    const padHigh = int32(segment, pad + 4);
    if (!isDouble) {
      if ((padLow & 3) === farPointer) throw malformed('A far pointer leads to another one');
      this.#low = padLow;
      this.#high = padHigh >>> 0;
      this.#segment = segment;
      this.#start = pad + 8 + (padLow >> 2) * 8;
      return;
    }
    const target = this.segments[padHigh];
    if ((padLow & 7) !== farPointer || target === undefined)
      throw malformed('A double far pointer leads to no far pointer');
    const tagLow = int32(segment, pad + 8);
    if ((tagLow & 3) === farPointer) throw malformed('A double far pointer has no tag');
    this.#low = tagLow;
    this.#high = int32(segment, pad + 12) >>> 0;
    this.#segment = target;
    this.#start = (padLow >>> 3) * 8;
  }
}

/** One struct. Fields beyond its end read as their default: zero, false, null. */
export class StructReader {
  readonly message: CapnpMessage;
  readonly #segment: Buffer;
  readonly #data: number;
  readonly #dataBytes: number;
  readonly #pointers: number;
  readonly #pointerCount: number;

  constructor(
    message: CapnpMessage,
    segment: Buffer,
    data: number,
    dataBytes: number,
    pointers: number,
    pointerCount: number,
  ) {
    this.message = message;
    this.#segment = segment;
    this.#data = data;
    this.#dataBytes = dataBytes;
    this.#pointers = pointers;
    this.#pointerCount = pointerCount;
  }

  /** Bit `bit` of the data section, counted from the least significant bit of its first byte. */
  bool(bit: number): boolean {
    return ((this.uint8(bit >>> 3) >>> (bit & 7)) & 1) === 1;
  }

  uint8(byte: number): number {
    return byte + 1 > this.#dataBytes ? 0 : (this.#segment[this.#data + byte] ?? 0);
  }

  uint16(byte: number): number {
    return byte + 2 > this.#dataBytes ? 0 : this.#segment.readUInt16LE(this.#data + byte);
  }

  int32(byte: number): number {
    return byte + 4 > this.#dataBytes ? 0 : this.#segment.readInt32LE(this.#data + byte);
  }

  uint32(byte: number): number {
    return this.int32(byte) >>> 0;
  }

  int64(byte: number): bigint {
    return byte + 8 > this.#dataBytes ? 0n : this.#segment.readBigInt64LE(this.#data + byte);
  }

  uint64(byte: number): bigint {
    return BigInt.asUintN(64, this.int64(byte));
  }

  isNull(pointer: number): boolean {
    return pointer >= this.#pointerCount || this.message.isNull(this.#segment, this.#pointers + pointer * 8);
  }

  text(pointer: number, encoding: 'utf8' | 'latin1' = 'utf8'): string {
    return pointer >= this.#pointerCount
      ? ''
      : this.message.textAt(this.#segment, this.#pointers + pointer * 8, encoding);
  }

  /** A view of the message; copy what must outlive it. */
  bytes(pointer: number): Buffer {
    return pointer >= this.#pointerCount
      ? Buffer.alloc(0)
      : this.message.bytesAt(this.#segment, this.#pointers + pointer * 8);
  }

  struct(pointer: number): StructReader {
    if (pointer >= this.#pointerCount) return new StructReader(this.message, this.#segment, 0, 0, 0, 0);
    return this.message.structAt(this.#segment, this.#pointers + pointer * 8);
  }

  list(pointer: number): ListReader {
    if (pointer >= this.#pointerCount) return new ListReader(this.message, this.#segment, 0, 0, 0, 0, 0);
    return this.message.listAt(this.#segment, this.#pointers + pointer * 8);
  }

  capability(pointer: number): number | undefined {
    if (pointer >= this.#pointerCount) return undefined;
    return this.message.capabilityAt(this.#segment, this.#pointers + pointer * 8);
  }
}

/** A list of structs or of pointers. `length` is bounded by what the message may hold. */
export class ListReader {
  readonly length: number;
  readonly #message: CapnpMessage;
  readonly #segment: Buffer;
  readonly #start: number;
  readonly #stepBytes: number;
  readonly #dataBytes: number;
  readonly #pointerCount: number;

  constructor(
    message: CapnpMessage,
    segment: Buffer,
    start: number,
    length: number,
    stepBytes: number,
    dataBytes: number,
    pointerCount: number,
  ) {
    this.#message = message;
    this.#segment = segment;
    this.#start = start;
    this.length = length;
    this.#stepBytes = stepBytes;
    this.#dataBytes = dataBytes;
    this.#pointerCount = pointerCount;
  }

  /** Element `index` as a struct; a bare pointer is a struct of one pointer. */
  struct(index: number): StructReader {
    const start = this.#start + index * this.#stepBytes;
    return new StructReader(
      this.#message,
      this.#segment,
      start,
      this.#dataBytes,
      start + this.#dataBytes,
      this.#pointerCount,
    );
  }

  /** Text in pointer slot `pointer` of element `index`, without an object in between. */
  text(index: number, pointer: number, encoding: 'utf8' | 'latin1' = 'utf8'): string {
    if (pointer >= this.#pointerCount) return '';
    const at = this.#start + index * this.#stepBytes + this.#dataBytes + pointer * 8;
    return this.#message.textAt(this.#segment, at, encoding);
  }
}

function int32(bytes: Buffer, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
}

function malformed(message: string): PosternError {
  return new PosternError('protocol.malformed', `${message}; the message is not valid Cap'n Proto`);
}
