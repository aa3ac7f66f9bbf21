import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fnv1a32, rolloutThreshold } from './fnv.ts';

describe('fnv', () => {
  it('gives the published FNV-1a values', () => {
    assert.equal(fnv1a32(''), 0x811c9dc5);
    assert.equal(fnv1a32('a'), 0xe40c292c);
    assert.equal(fnv1a32('foobar'), 0xbf9cf968);
  });

  it('gives the thresholds of cloudflared', () => {
    assert.equal(rolloutThreshold('123456'), 74);
    assert.equal(rolloutThreshold('testAccountTag'), 56);
    assert.equal(rolloutThreshold(''), 61);
  });
});
