// Decodes the frames of a WebSocket's other side into the bytes of its binary messages, and tells pings and closes.
// Messages are streamed, so their length has no limit and costs no memory. Source: RFC 6455 §5;
// docs/protocol/ingress-and-origin.md §10.1 (text is discarded), §10.2 (messages over 16 KiB lose data in cloudflared;
// not here).
//
//    0 1 2 3  4..7     8  9..15         16 or 64 bits       32 bits
//   |F|RSV  |opcode  |M |length 0..125 |extended length   |mask      |payload …
//                        126 → 16 bits, 127 → 64 bits

import { PosternError } from '../../errors/error.ts';

export interface FrameSink {
  /** Unmasked bytes of a message of the kind wanted, in a buffer of their own. */
  onData(bytes: Buffer): void;
  /** A message of the kind wanted is complete. */
  onMessage?(): void;
  /** A ping to be answered with the same payload (≤ 125 bytes). */
  onPing(payload: Buffer): void;
  /** The other side closes; `payload` is what its close frame held. */
  onClose(payload: Buffer): void;
}

const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const maxControlBytes = 125;

export class WebSocketDecoder {
  readonly #sink: FrameSink;
  /** Clients mask their frames, servers do not. */
  readonly #isMasked: boolean;
  readonly #wanted: 'binary' | 'text';
  /** Header bytes gathered so far: at most 2 + 8 + 4. */
  readonly #header = Buffer.alloc(14);
  #headerBytes = 0;
  #needed = 2;
  #opcode = 0;
  #final = false;
  #left = 0;
  #inPayload = false;
  /** Position in the mask of the next payload byte. */
  #phase = 0;
  #maskAt = 0;
  #message: 'none' | 'text' | 'binary' = 'none';
  #control: Buffer = Buffer.alloc(0);

  /** Messages of the other kind than `wanted` are discarded. `from`: whose frames these are. */
  constructor(wanted: 'binary' | 'text', sink: FrameSink, from: 'client' | 'server' = 'client') {
    this.#isMasked = from === 'client';
    this.#wanted = wanted;
    this.#sink = sink;
  }

  /** Takes bytes of the other side; the buffer is only read. Throws 'protocol.malformed'. */
  feed(chunk: Buffer): void {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#inPayload) offset = this.#readPayload(chunk, offset);
      else {
        this.#header[this.#headerBytes] = chunk[offset] as number;
        this.#headerBytes += 1;
        offset += 1;
        if (this.#headerBytes === this.#needed) this.#readHeader();
      }
    }
  }

  #readHeader(): void {
    const header = this.#header;
    if (this.#needed === 2) {
      const first = header[0] as number;
      const second = header[1] as number;
      this.#final = (first & 0x80) !== 0;
      this.#opcode = first & 0x0f;
      if ((first & 0x70) !== 0) throw malformed('a reserved bit is set');
      if (((second & 0x80) !== 0) !== this.#isMasked)
        throw malformed(this.#isMasked ? 'a client frame is not masked' : 'a server frame is masked');
      const short = second & 0x7f;
      this.#checkOpcode(short);
      this.#needed = 2 + (short === 127 ? 8 : short === 126 ? 2 : 0) + (this.#isMasked ? 4 : 0);
      if (this.#needed > 2) return;
    }
    const short = (header[1] as number) & 0x7f;
    this.#left = short === 127 ? readLength64(header) : short === 126 ? header.readUInt16BE(2) : short;
    // Without a mask these bytes are not looked at.
    this.#maskAt = this.#needed - 4;
    this.#phase = 0;
    this.#headerBytes = 0;
    this.#needed = 2;
    this.#inPayload = true;
    this.#control = Buffer.alloc(0);
    if (this.#left === 0) this.#endFrame();
  }

  #checkOpcode(short: number): void {
    const opcode = this.#opcode;
    if (opcode >= 8) {
      if (opcode > opcodes.pong) throw malformed(`unknown opcode ${opcode}`);
      if (!this.#final || short > maxControlBytes) throw malformed('a control frame is fragmented or too long');
    } else if (opcode === opcodes.continuation) {
      if (this.#message === 'none') throw malformed('a continuation without a message');
    } else if (opcode > opcodes.binary) throw malformed(`unknown opcode ${opcode}`);
    else if (this.#message !== 'none') throw malformed('a message inside a message');
    else this.#message = opcode === opcodes.text ? 'text' : 'binary';
  }

  #readPayload(chunk: Buffer, offset: number): number {
    const bytes = Math.min(this.#left, chunk.length - offset);
    const control = this.#opcode >= 8;
    if (control || this.#message === this.#wanted) {
      const plain = this.#unmask(chunk, offset, bytes);
      if (control) this.#control = this.#control.length === 0 ? plain : Buffer.concat([this.#control, plain]);
      else this.#sink.onData(plain);
    }
    this.#phase = (this.#phase + bytes) & 3;
    this.#left -= bytes;
    if (this.#left === 0) this.#endFrame();
    return offset + bytes;
  }

  #endFrame(): void {
    this.#inPayload = false;
    switch (this.#opcode) {
      case opcodes.ping:
        this.#sink.onPing(this.#control);
        return;
      case opcodes.close:
        this.#sink.onClose(this.#control);
        return;
      case opcodes.pong:
        return;
      default:
        if (!this.#final) return;
        if (this.#message === this.#wanted) this.#sink.onMessage?.();
        this.#message = 'none';
    }
  }

  #unmask(chunk: Buffer, offset: number, bytes: number): Buffer {
    if (!this.#isMasked) return Buffer.from(chunk.subarray(offset, offset + bytes));
    const plain = Buffer.allocUnsafe(bytes);
    const header = this.#header;
    const at = this.#maskAt;
    const phase = this.#phase;
    const m0 = header[at + (phase & 3)] as number;
    const m1 = header[at + ((phase + 1) & 3)] as number;
    const m2 = header[at + ((phase + 2) & 3)] as number;
    const m3 = header[at + ((phase + 3) & 3)] as number;
    const whole = bytes - (bytes & 3);
    let index = 0;
    for (; index < whole; index += 4) {
      plain[index] = (chunk[offset + index] as number) ^ m0;
      plain[index + 1] = (chunk[offset + index + 1] as number) ^ m1;
      plain[index + 2] = (chunk[offset + index + 2] as number) ^ m2;
      plain[index + 3] = (chunk[offset + index + 3] as number) ^ m3;
    }
    const rest = [m0, m1, m2];
    for (; index < bytes; index += 1)
      plain[index] = (chunk[offset + index] as number) ^ (rest[index - whole] as number);
    return plain;
  }
}

/** Lengths beyond 2^53 cannot be counted exactly, and nobody means them. */
function readLength64(header: Buffer): number {
  const high = header.readUInt32BE(2);
  if (high >= 0x20_0000) throw malformed('a frame longer than 2^53 bytes');
  return high * 0x1_0000_0000 + header.readUInt32BE(6);
}

function malformed(reason: string): PosternError {
  return new PosternError('protocol.malformed', `The WebSocket peer broke the protocol: ${reason}`);
}
