import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compareVersions, isPreRelease, versionPattern } from './version-order.ts';

describe('versions', () => {
  it('are ordered as Semantic Versioning orders them', () => {
    const ordered = [
      ...['0.9.9', '0.10.0', '1.0.0-1', '1.0.0-alpha', '1.0.0-alpha.1', '1.0.0-alpha.beta', '1.0.0-beta'],
      ...['1.0.0-beta.2', '1.0.0-beta.11', '1.0.0-rc.1', '1.0.0', '1.0.1', '1.1.0', '2.0.0', '10.0.0'],
    ];
    for (const [at, one] of ordered.entries()) {
      assert.match(one, versionPattern);
      for (const [other, two] of ordered.entries())
        assert.equal(Math.sign(compareVersions(one, two)), Math.sign(at - other), `${one} and ${two}`);
    }
    assert.deepEqual(ordered.filter(isPreRelease).length, 8);
  });

  it('are three numbers and a tail', () => {
    for (const text of [
      '1',
      '1.2',
      '1.2.3.4',
      '01.2.3',
      '1.2.3-',
      '1.2.3+build',
      'v1.2.3',
      '1.2.3 ',
      '../1.2.3',
      '1.2.9999999999',
    ])
      assert.doesNotMatch(text, versionPattern);
  });
});
