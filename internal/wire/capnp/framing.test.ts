import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { scatterMessage } from '../../../test/support/capnp-scatter.ts';
import { seededRandom } from '../../../test/support/seeded-random.ts';
import { readMessage, readMessageNames } from '../../../test/support/vectors.ts';
import { isPosternError } from '../../errors/error.ts';
import type { CapnpMessage } from './capnp-reader.ts';
import { encodeFrame, FrameReader, maxSegments, measureFrame } from './framing.ts';

const limit = 1 << 20;
const tooLarge = (error: unknown): boolean => isPosternError(error, 'protocol.too-large');
const malformed = (error: unknown): boolean => isPosternError(error, 'protocol.malformed');
const frames = readMessageNames()
  .filter(name => !name.startsWith('quic_'))
  .map(readMessage);

/** The frame of a message that was read. */
const again = (message: CapnpMessage | undefined): Buffer => encodeFrame(message?.segments ?? []);

/** A segment table that claims these sizes. */
function table(words: readonly number[]): Buffer {
  const bytes = Buffer.alloc((4 + 4 * words.length + 7) & ~7);
  bytes.writeUInt32LE(words.length - 1, 0);
  for (const [index, each] of words.entries()) bytes.writeUInt32LE(each, 4 + 4 * index);
  return bytes;
}

describe('framing', () => {
  it('finds every message in any chunks', () => {
    const random = seededRandom(7);
    const several = frames.map((frame, index) => (index % 3 === 0 ? scatterMessage(frame, random) : frame));
    const stream = Buffer.concat(several);
    for (const largest of [1, 7, 64, 1000, stream.length]) {
      const reader = new FrameReader(limit);
      const seen: Buffer[] = [];
      const kept: CapnpMessage[] = [];
      for (let at = 0; at < stream.length; ) {
        const length = largest === 1 ? 1 : 1 + random.below(largest);
        // The reader owns its chunks, so each is a copy.
        reader.push(Buffer.from(stream.subarray(at, at + length)));
        at += length;
        for (let message = reader.next(); message !== undefined; message = reader.next()) {
          seen.push(again(message));
          kept.push(message);
        }
      }
      assert.equal(reader.pendingBytes, 0);
      assert.deepEqual(seen, several);
      // Messages are views: later bytes must not have changed them.
      assert.deepEqual(kept.map(again), several);
    }
  });

  it('tells exactly how much is missing', () => {
    const frame = scatterMessage(frames[1] ?? Buffer.alloc(0), seededRandom(3), 5);
    for (let given = 0; given < frame.length; given += 1) {
      const need = measureFrame(frame, 0, given, limit);
      assert.ok(need > given && need <= frame.length);
      const reader = new FrameReader(limit);
      reader.push(frame.subarray(0, given));
      assert.equal(reader.next(), undefined);
      assert.equal(reader.pendingBytes, given);
    }
    assert.equal(measureFrame(frame, 0, frame.length, limit), frame.length);
  });

  it('refuses sizes before anything is kept for them', () => {
    const claims: [Buffer, (error: unknown) => boolean][] = [
      [table([0xffff_ffff]), tooLarge],
      [table([1, 0xffff_ffff]), tooLarge],
      [table(Array.from({ length: 512 }, () => 0x0fff_ffff)), tooLarge],
      [table([(limit - 8) / 8 + 1]), tooLarge],
      [Buffer.from('00020000', 'hex'), tooLarge],
      [Buffer.from('ffffffff', 'hex'), tooLarge],
      [table([0]), malformed],
      [table([0, 5]), malformed],
    ];
    for (const [bytes, expected] of claims) {
      const reader = new FrameReader(limit);
      reader.push(Buffer.concat([bytes, Buffer.alloc(8)]));
      assert.throws(() => reader.next(), expected, bytes.subarray(0, 16).toString('hex'));
    }
    assert.equal(measureFrame(table([(limit - 8) / 8]), 0, 8, limit), limit);
    assert.throws(() => measureFrame(table(Array.from({ length: 300 }, () => 1)), 0, 16, 1000), tooLarge);
  });

  it('takes as many segments as it says', () => {
    const words = Array.from({ length: maxSegments }, () => Buffer.alloc(8));
    const frame = encodeFrame(words);
    const reader = new FrameReader(limit);
    reader.push(frame);
    assert.equal(reader.next()?.segments.length, maxSegments);
    assert.throws(() => measureFrame(encodeFrame([...words, Buffer.alloc(8)]), 0, 8, limit), tooLarge);
  });
});
