// Lays a Cap'n Proto message out anew: over several segments, with near, far and double-far pointers chosen at random.
// Writers rarely do this, but readers must accept it. The contents stay the same.

import { encodeFrame } from '../../internal/wire/capnp/framing.ts';
import type { SeededRandom } from './seeded-random.ts';

interface Place {
  readonly segment: number;
  readonly at: number;
}

/** `frame`: one segment, without far pointers, as our writers make. */
export function scatterMessage(frame: Buffer, random: SeededRandom, segmentCount = 4): Buffer {
  const source = frame.subarray(8);
  // Each pointer takes at most three more words.
  const buffers = Array.from({ length: segmentCount }, () => Buffer.alloc(source.length * 4 + 8));
  const ends: number[] = Array.from({ length: segmentCount }, (_, index) => (index === 0 ? 8 : 0));

  const allocate = (segment: number, bytes: number): Place => {
    const at = ends[segment] ?? 0;
    ends[segment] = at + ((bytes + 7) & ~7);
    return { segment, at };
  };
  const put = ({ segment, at }: Place, low: number, high: number): void => {
    buffers[segment]?.writeInt32LE(low | 0, at);
    buffers[segment]?.writeInt32LE(high | 0, at + 4);
  };
  const near = (from: number, to: number, kind: number): number => (((to - from - 8) >> 3) << 2) | kind;

  /** Writes a pointer of `kind` at `from` that leads to `to`, in one of the ways there are. */
  const point = (from: Place, to: Place, kind: number, high: number): void => {
    const way = random.below(3);
    if (way === 0 && from.segment === to.segment) {
      put(from, near(from.at, to.at, kind), high);
    } else if (way !== 2) {
      const pad = allocate(to.segment, 8);
      put(pad, near(pad.at, to.at, kind), high);
      put(from, ((pad.at / 8) << 3) | 2, pad.segment);
    } else {
      const pad = allocate(random.below(segmentCount), 16);
      put(pad, ((to.at / 8) << 3) | 2, to.segment);
      put({ segment: pad.segment, at: pad.at + 8 }, kind, high);
      put(from, ((pad.at / 8) << 3) | 6, pad.segment);
    }
  };

  const copyBytes = (from: number, to: Place, bytes: number): void => {
    source.copy(buffers[to.segment] ?? Buffer.alloc(0), to.at, from, from + bytes);
  };
  const copyStruct = (from: number, to: Place, dataWords: number, pointers: number): void => {
    copyBytes(from, to, dataWords * 8);
    for (let index = dataWords; index < dataWords + pointers; index += 1)
      copyPointer(from + index * 8, { segment: to.segment, at: to.at + index * 8 });
  };

  const copyPointer = (from: number, to: Place): void => {
    const low = source.readInt32LE(from);
    const high = source.readUInt32LE(from + 4);
    if (low === 0 && high === 0) return;
    const target = from + 8 + (low >> 2) * 8;
    const segment = random.below(segmentCount);
    if ((low & 3) === 3) {
      put(to, low, high);
    } else if ((low & 3) === 0) {
      const place = allocate(segment, ((high & 0xffff) + (high >>> 16)) * 8);
      copyStruct(target, place, high & 0xffff, high >>> 16);
      point(to, place, 0, high);
    } else if ((high & 7) === 7) {
      const place = allocate(segment, 8 + (high >>> 3) * 8);
      copyBytes(target, place, 8);
      const sizes = source.readUInt32LE(target + 4);
      const words = (sizes & 0xffff) + (sizes >>> 16);
      for (let index = source.readUInt32LE(target) >>> 2; index > 0; index -= 1) {
        const offset = 8 + (index - 1) * words * 8;
        copyStruct(target + offset, { segment, at: place.at + offset }, sizes & 0xffff, sizes >>> 16);
      }
      point(to, place, 1, high);
    } else if ((high & 7) === 6) {
      const place = allocate(segment, (high >>> 3) * 8);
      copyStruct(target, place, 0, high >>> 3);
      point(to, place, 1, high);
    } else {
      const bytes = [0, 0, 1, 2, 4, 8][high & 7] ?? 0;
      const place = allocate(segment, (high >>> 3) * bytes);
      copyBytes(target, place, (high >>> 3) * bytes);
      point(to, place, 1, high);
    }
  };

  copyPointer(0, { segment: 0, at: 0 });
  return encodeFrame(buffers.map((buffer, index) => buffer.subarray(0, ends[index])));
}
