// Cap'n Proto stream framing: a segment table, then the segments, back to back on a byte stream. Sizes are checked
// before anything is kept or allocated. Source: docs/protocol/edge-protocol.md §7.1.
//
//   u32 segments-1 | u32 words of segment 0 | … | 4 bytes of padding if needed to reach 8 | segment 0 | segment 1 | …

import { PosternError } from '../../errors/error.ts';
import { CapnpMessage } from './capnp-reader.ts';

/** The most segments a message may have: what cloudflared accepts too. */
export const maxSegments = 512;

/**
 * Bytes that are needed from `start` to go on: the length of the whole frame once its segment table is there, else the
 * length of the table. So the message is complete exactly when the result is at most `end - start`.
 * Throws 'protocol.too-large' when the frame would exceed `maxBytes`, 'protocol.malformed' for an impossible table.
 */
export function measureFrame(bytes: Uint8Array, start: number, end: number, maxBytes: number): number {
  if (end - start < 4) return 8;
  const count = uint32(bytes, start) + 1;
  if (count > maxSegments)
    throw new PosternError('protocol.too-large', `A message has ${count} segments; at most ${maxSegments} are allowed`);
  const tableBytes = tableLength(count);
  if (tableBytes > maxBytes) throw tooLarge(tableBytes, maxBytes);
  if (end - start < tableBytes) return tableBytes;
  let total = tableBytes;
  for (let index = 0; index < count; index += 1) total += uint32(bytes, start + 4 + 4 * index) * 8;
  if (total > maxBytes) throw tooLarge(total, maxBytes);
  if (uint32(bytes, start + 4) === 0)
    throw new PosternError(
      'protocol.malformed',
      'The first segment of a message is empty; it must hold the root pointer',
    );
  return total;
}

/** The message in a complete frame at `start`, as views of `bytes`, which must stay unchanged while it is read. */
export function openFrame(bytes: Buffer, start: number): CapnpMessage {
  const count = uint32(bytes, start) + 1;
  let offset = start + tableLength(count);
  const segments: Buffer[] = [];
  for (let index = 0; index < count; index += 1) {
    const length = uint32(bytes, start + 4 + 4 * index) * 8;
    segments.push(bytes.subarray(offset, offset + length));
    offset += length;
  }
  return new CapnpMessage(segments);
}

/** Frames segments into one buffer. The one-segment case is written in place by the writer and does not come here. */
export function encodeFrame(segments: readonly Uint8Array[]): Buffer {
  const tableBytes = tableLength(segments.length);
  const total = segments.reduce((sum, segment) => sum + segment.length, tableBytes);
  const out = Buffer.alloc(total);
  out.writeUInt32LE(segments.length - 1, 0);
  let offset = tableBytes;
  for (const [index, segment] of segments.entries()) {
    out.writeUInt32LE(segment.length / 8, 4 + 4 * index);
    out.set(segment, offset);
    offset += segment.length;
  }
  return out;
}

/**
 * Cuts a byte stream into messages. Keeps at most one incomplete frame, so about twice `maxBytes` at worst. After it
 * threw it must not be used again.
 */
export class FrameReader {
  readonly #maxBytes: number;
  #buffer: Buffer = Buffer.alloc(0);
  #start = 0;
  #end = 0;
  /** Whether #buffer was allocated here, so that bytes may be appended behind #end. */
  #owned = false;
  /** Bytes from #start on without which looking again is pointless. */
  #needed = 8;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes held that belong to no complete message taken so far. */
  get pendingBytes(): number {
    return this.#end - this.#start;
  }

  /** Takes the next bytes of the stream; the chunk belongs to the reader and its messages from now on. */
  push(chunk: Buffer): void {
    const held = this.#end - this.#start;
    if (held === 0) {
      this.#buffer = chunk;
      this.#start = 0;
      this.#end = chunk.length;
      this.#owned = false;
      return;
    }
    // Bytes handed out earlier are never moved or overwritten: messages may still be views of them.
    if (!this.#owned || this.#end + chunk.length > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(256, 2 * held, held + chunk.length));
      this.#buffer.copy(grown, 0, this.#start, this.#end);
      this.#buffer = grown;
      this.#start = 0;
      this.#end = held;
      this.#owned = true;
    }
    chunk.copy(this.#buffer, this.#end);
    this.#end += chunk.length;
  }

  /** The next complete message, or undefined when more bytes are needed. Throws as `measureFrame` does. */
  next(): CapnpMessage | undefined {
    while (this.#end - this.#start >= this.#needed) {
      const frameBytes = measureFrame(this.#buffer, this.#start, this.#end, this.#maxBytes);
      if (frameBytes > this.#end - this.#start) {
        this.#needed = frameBytes;
        return undefined;
      }
      const message = openFrame(this.#buffer, this.#start);
      this.#start += frameBytes;
      this.#needed = 8;
      return message;
    }
    return undefined;
  }
}

function tableLength(count: number): number {
  return (4 + 4 * count + 7) & ~7;
}

function uint32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0
  );
}

function tooLarge(bytes: number, maxBytes: number): PosternError {
  return new PosternError('protocol.too-large', `A message of ${bytes} bytes exceeds the limit of ${maxBytes}`);
}
