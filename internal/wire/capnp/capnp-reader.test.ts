import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isPosternError } from '../../errors/error.ts';
import { CapnpMessage } from './capnp-reader.ts';
import { CapnpWriter } from './capnp-writer.ts';
import { openFrame } from './framing.ts';

const malformed = (error: unknown): boolean => isPosternError(error, 'protocol.malformed');
const tooLarge = (error: unknown): boolean => isPosternError(error, 'protocol.too-large');

/** A segment of these words, each [low, high]. */
function words(...list: readonly (readonly [number, number])[]): Buffer {
  const bytes = Buffer.alloc(list.length * 8);
  for (const [index, [low, high]] of list.entries()) {
    bytes.writeInt32LE(low | 0, index * 8);
    bytes.writeInt32LE(high | 0, index * 8 + 4);
  }
  return bytes;
}
const structOf = (dataWords: number, pointers: number): number => dataWords | (pointers << 16);
const read = (...segments: Buffer[]): CapnpMessage => new CapnpMessage(segments);

describe('Cap’n Proto reader', () => {
  it('reads fields beyond the end of a struct as their defaults', () => {
    const root = read(words([0, structOf(1, 0)], [0x01020304, -1])).root();
    assert.deepEqual([root.uint8(0), root.uint16(2), root.int32(4)], [4, 0x0102, -1]);
    assert.deepEqual(
      [root.uint64(0), root.uint64(8), root.uint32(8), root.bool(64)],
      [0xffff_ffff_0102_0304n, 0n, 0, false],
    );
    assert.deepEqual([root.text(0), root.bytes(3).length, root.list(0).length, root.isNull(0)], ['', 0, 0, true]);
    assert.equal(root.struct(0).struct(0).text(5), '');
    assert.equal(
      read(words([0, 0]))
        .root()
        .uint32(0),
      0,
    );
    assert.equal(
      read(words([-4, 0]))
        .root()
        .uint32(0),
      0,
    );
  });

  it('reads lists that were upgraded to structs, and lists of structs that were not', () => {
    // Root with one pointer to a list of two pointers, the first of which is the text "a".
    const pointers = read(
      words([0, structOf(0, 1)], [1, 6 | (2 << 3)], [(1 << 2) | 1, 2 | (2 << 3)], [0, 0], [0x61, 0]),
    );
    const list = pointers.root().list(0);
    assert.deepEqual([list.length, list.text(0, 0), list.struct(0).text(0), list.text(1, 0)], [2, 'a', 'a', '']);
    const bytes = read(words([0, structOf(0, 1)], [1, 2 | (3 << 3)], [0x030201, 0]))
      .root()
      .list(0);
    assert.deepEqual(
      [0, 1, 2].map(index => bytes.struct(index).uint8(0)),
      [1, 2, 3],
    );
    assert.equal(bytes.struct(0).uint16(0), 0);
    const bits = read(words([0, structOf(0, 1)], [1, 1 | (3 << 3)], [7, 0])).root();
    assert.throws(() => bits.list(0), malformed);
  });

  it('follows far and double-far pointers', () => {
    const far = read(words([2, 1]), words([0, structOf(1, 0)], [42, 0]));
    assert.equal(far.root().uint32(0), 42);
    const double = read(words([6, 1]), words([(1 << 3) | 2, 2], [0, structOf(1, 0)]), words([0, 0], [43, 0]));
    assert.equal(double.root().uint32(0), 43);
  });

  it('refuses pointers that lead nowhere', () => {
    const roots: [string, CapnpMessage][] = [
      ['beyond the end', read(words([0, structOf(1, 0)]))],
      ['far beyond the end', read(words([0x7fff_fffc, structOf(1, 0)]))],
      ['before the start', read(words([-12, structOf(1, 0)], [0, 0]))],
      ['to a list', read(words([1, 2 | (8 << 3)], [0, 0]))],
      ['to a capability', read(words([3, 0]))],
      ['to another segment that is not there', read(words([2, 5]))],
      ['to a pad outside', read(words([(9 << 3) | 2, 1]), words([0, 0]))],
      ['far to far', read(words([2, 1]), words([2, 0]))],
      ['double far to no far', read(words([6, 1]), words([0, structOf(1, 0)], [0, structOf(1, 0)]))],
      ['double far without a tag', read(words([6, 1]), words([2, 0], [2, 0]))],
      ['double far to a segment that is not there', read(words([6, 1]), words([2, 9], [0, structOf(0, 0)]))],
    ];
    for (const [name, message] of roots) assert.throws(() => message.root(), malformed, name);
    assert.throws(() => new CapnpMessage([]), malformed);
    assert.throws(() => new CapnpMessage([Buffer.alloc(4)]), malformed);

    const field = (low: number, high: number, ...rest: [number, number][]): CapnpMessage =>
      read(words([0, structOf(0, 1)], [low, high], ...rest));
    assert.throws(
      () =>
        field(1, 2 | (9 << 3), [0, 0])
          .root()
          .text(0),
      malformed,
      'text beyond the end',
    );
    assert.throws(
      () =>
        field(1, 2 | (3 << 3), [0x61616161, 0])
          .root()
          .text(0),
      malformed,
      'text without an end',
    );
    assert.throws(
      () =>
        field(1, 3 | (3 << 3), [0, 0])
          .root()
          .bytes(0),
      malformed,
      'bytes of two bytes',
    );
    assert.throws(() => field(0, structOf(1, 0), [0, 0]).root().list(0), malformed, 'struct for a list');
    assert.throws(
      () =>
        field(1, 7 | (1 << 3), [2 << 2, structOf(1, 0)], [0, 0])
          .root()
          .list(0),
      malformed,
      'long list',
    );
    assert.throws(
      () =>
        field(1, 7 | (1 << 3), [1, structOf(1, 0)], [0, 0])
          .root()
          .list(0),
      malformed,
      'tag of a list',
    );
  });

  it('does not let a small message pretend to be a large one', () => {
    // 2^26 structs of no size in 40 bytes.
    const empty = read(words([0, structOf(0, 1)], [1, 7], [(1 << 26) << 2, 0]));
    assert.throws(() => empty.root().list(0), tooLarge);
    const nothing = read(words([0, structOf(0, 1)], [1, 0 | (0x1fff_ffff << 3)]));
    assert.throws(() => nothing.root().list(0), tooLarge);
    // A thousand pointers to the same kilobyte.
    const writer = new CapnpWriter();
    const list = writer.root(0, 1).structList(0, 1000, 0, 1);
    list.struct(0).text(0, 'x'.repeat(64 * 1024));
    const frame = writer.finish();
    const first = 8 + 8 + 8 + 8;
    for (let index = 1; index < 1000; index += 1) {
      frame.writeInt32LE(frame.readInt32LE(first) - (index << 2), first + index * 8);
      frame.writeUInt32LE(frame.readUInt32LE(first + 4), first + index * 8 + 4);
    }
    const elements = openFrame(frame, 0).root().list(0);
    assert.equal(elements.text(1, 0).length, 64 * 1024);
    assert.throws(() => {
      for (let index = 0; index < elements.length; index += 1) elements.text(index, 0);
    }, tooLarge);
  });
});
