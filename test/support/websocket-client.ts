// The client's side of a WebSocket for tests: frames by hand, so that a test can also send wrong ones.

import type { Duplex } from 'node:stream';

export interface TestFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** One masked client frame. */
export function clientFrame(opcode: number, payload: Buffer | string, options: { final?: boolean } = {}): Buffer {
  const data = Buffer.from(payload as string);
  const first = (options.final === false ? 0 : 0x80) | opcode;
  const mask = Buffer.from([0x12, 0x34, 0x56, 0x78]);
  const masked = Buffer.from(data);
  for (let index = 0; index < masked.length; index += 1) masked[index] = (masked[index] ?? 0) ^ (mask[index & 3] ?? 0);
  const length = data.length;
  const header =
    length < 126
      ? Buffer.from([first, 0x80 | length])
      : length < 65_536
        ? Buffer.from([first, 0x80 | 126, length >> 8, length & 0xff])
        : Buffer.concat([Buffer.from([first, 0x80 | 127, 0, 0, 0, 0]), uint32(length)]);
  return Buffer.concat([header, mask, masked]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Splits server bytes into frames; throws when one is masked or incomplete. */
export function serverFrames(bytes: Buffer): TestFrame[] {
  const frames: TestFrame[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const opcode = bytes.readUInt8(offset) & 0x0f;
    const short = bytes.readUInt8(offset + 1);
    if ((short & 0x80) !== 0) throw new Error('a server frame is masked');
    const length = short === 126 ? bytes.readUInt16BE(offset + 2) : short;
    const start = offset + (short === 126 ? 4 : 2);
    if (start + length > bytes.length) throw new Error('a frame is cut off');
    frames.push({ opcode, payload: bytes.subarray(start, start + length) });
    offset = start + length;
  }
  return frames;
}

/** Reads frames off a stream as they come. */
export class FrameReader {
  readonly frames: TestFrame[] = [];
  ended = false;
  #held = Buffer.alloc(0);

  constructor(stream: Duplex) {
    stream.on('data', (chunk: Buffer) => {
      this.#held = Buffer.concat([this.#held, chunk]);
      this.#cut();
    });
    stream.on('end', () => {
      this.ended = true;
    });
  }

  /** Payloads of all binary and text frames so far. */
  get data(): Buffer {
    return Buffer.concat(this.frames.filter(frame => frame.opcode < 8).map(frame => frame.payload));
  }

  #cut(): void {
    for (;;) {
      if (this.#held.length < 2) return;
      const short = this.#held.readUInt8(1);
      const start = short === 126 ? 4 : 2;
      if (this.#held.length < start) return;
      const length = short === 126 ? this.#held.readUInt16BE(2) : short;
      if (this.#held.length < start + length) return;
      this.frames.push({ opcode: this.#held.readUInt8(0) & 0x0f, payload: this.#held.subarray(start, start + length) });
      this.#held = this.#held.subarray(start + length);
    }
  }
}
