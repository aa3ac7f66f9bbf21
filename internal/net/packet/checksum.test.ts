import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addWords, checksum, finishChecksum, updateChecksum } from './checksum.ts';

describe('Internet checksum', () => {
  it('gives the sums of RFC 1071 §3', () => {
    const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
    assert.equal(checksum(bytes, 0, bytes.length), ~0xddf2 & 0xffff);
  });

  it('pads an odd last byte and may be summed in parts', () => {
    const bytes = Uint8Array.of(1, 2, 3, 4, 5);
    assert.equal(checksum(bytes, 0, 5), checksum(Uint8Array.of(1, 2, 3, 4, 5, 0), 0, 6));
    assert.equal(finishChecksum(addWords(addWords(0, bytes, 0, 2), bytes, 2, 5)), checksum(bytes, 0, 5));
  });

  it('folds the sum of the largest packet', () => {
    const bytes = new Uint8Array(65_535).fill(0xff);
    assert.equal(checksum(bytes, 0, 65_534), 0);
  });

  it('changes incrementally to what a whole sum gives', () => {
    const bytes = Uint8Array.from({ length: 64 }, (_, index) => (index * 37) & 0xff);
    for (const word of [0, 1, 0xfffe, 0xffff, 0x1234]) {
      const before = checksum(bytes, 0, 64);
      const old = ((bytes[10] ?? 0) << 8) | (bytes[11] ?? 0);
      bytes[10] = word >>> 8;
      bytes[11] = word & 0xff;
      assert.equal(updateChecksum(before, old, word), checksum(bytes, 0, 64));
    }
  });
});
