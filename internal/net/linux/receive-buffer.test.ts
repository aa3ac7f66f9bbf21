import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { narrowBufferWatch } from './receive-buffer.ts';

describe('the watch over receive buffers', () => {
  it('warns once, with what was granted, the limit and the value it needs', () => {
    const warnings: string[] = [];
    const look = narrowBufferWatch(warning => warnings.push(warning));
    look(undefined);
    look({ askedBytes: 4_194_304, grantedBytes: 0 });
    look({ askedBytes: 4_194_304, grantedBytes: 4_194_304 });
    look({ askedBytes: 4_194_304, grantedBytes: 4_200_000 });
    assert.deepEqual(warnings, []);
    look({ askedBytes: 4_194_304, grantedBytes: 212_992 });
    look({ askedBytes: 4_194_304, grantedBytes: 212_992 });
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /receive buffer of 212992 bytes only\. Set .+ to 4194304 or more$/);
    if (process.platform === 'linux') assert.match(warnings[0] ?? '', /Set net\.core\.rmem_max to/);
  });
});
