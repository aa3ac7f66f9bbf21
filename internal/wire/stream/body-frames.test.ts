import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isPosternError } from '../../errors/error.ts';
import { BodyFrameReader, encodeBodyEnd, encodeBodyFrame } from './body-frames.ts';

const trailers = ['grpc-status', '5', 'grpc-message', 'caf\u00c3\u00a9; not: found', 'empty', ''];
const whole = Buffer.concat([
  encodeBodyFrame(Buffer.from('first ')),
  encodeBodyFrame(Buffer.alloc(300, 'x')),
  encodeBodyEnd(trailers),
]);
const body = `first ${'x'.repeat(300)}`;

function readAll(reader: BodyFrameReader, chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks.flatMap(chunk => reader.read(chunk))).toString();
}

describe('body frames', () => {
  it('carry body and trailers, whole and byte by byte', () => {
    for (const size of [whole.length, 7, 1]) {
      const reader = new BodyFrameReader();
      const chunks = Array.from({ length: Math.ceil(whole.length / size) }, (_, index) =>
        whole.subarray(index * size, (index + 1) * size),
      );
      assert.equal(readAll(reader, chunks), body);
      assert.deepEqual(reader.trailers, trailers);
    }
  });

  it('have their exact form on the wire', () => {
    assert.equal(encodeBodyFrame(Buffer.from('ab')).toString('latin1'), '\0\0\0\u0002ab');
    assert.equal(encodeBodyEnd([]).toString('hex'), '0000000000000000');
    assert.equal(encodeBodyEnd(['A', 'b']).toString('latin1'), '\0\0\0\0\0\0\0\u0005YQ:Yg');
  });

  it('are not complete before the last byte', () => {
    for (let length = 0; length < whole.length; length += 1) {
      const reader = new BodyFrameReader();
      reader.read(whole.subarray(0, length));
      assert.equal(reader.trailers, undefined, `after ${length} bytes`);
    }
  });

  it('refuse bytes after the end, trailers without limit and trailers that are none', () => {
    const refusals = [
      [Buffer.concat([whole, Buffer.from('x')]), 'protocol.malformed'],
      [Buffer.from('00000000ffffffff', 'hex'), 'protocol.too-large'],
      [Buffer.concat([Buffer.from('0000000000000003', 'hex'), Buffer.from('abc')]), 'protocol.malformed'],
    ] as const;
    for (const [bytes, code] of refusals)
      assert.throws(
        () => new BodyFrameReader().read(bytes),
        error => isPosternError(error, code),
      );
  });

  it('leave out trailers that are too large', () => {
    const reader = new BodyFrameReader();
    reader.read(encodeBodyEnd(['x', 'y'.repeat(70_000)]));
    assert.deepEqual(reader.trailers, []);
  });
});
