import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { temporaryDirectory } from '../../support/program.ts';
import { parseInteropOptions } from './options.ts';
import { families } from './scenario.ts';

describe('the command line of npm run interop', () => {
  it('tries everything with our own program alone when nothing is named', () => {
    assert.deepEqual(parseInteropOptions([]), { peer: undefined, families: new Set(families) });
  });

  it('takes an executable file and the families that are named', async t => {
    const peer = join(await temporaryDirectory(t), 'cloudflared');
    await writeFile(peer, '#!/bin/sh\n', { mode: 0o755 });
    const options = parseInteropOptions(['--peer', peer, '--only', 'named', '--only', 'access']);
    assert.deepEqual(options, { peer, families: new Set(['named', 'access']) });
  });

  it('refuses a peer that is not there, is no file, or is not executable', async t => {
    const directory = await temporaryDirectory(t);
    const missing = join(directory, 'missing');
    assert.throws(() => parseInteropOptions(['--peer', missing]), new RangeError(nothingAt(missing)));
    assert.throws(() => parseInteropOptions(['--peer', directory]), /is no file/);
    const plain = join(directory, 'plain');
    await writeFile(plain, '#!/bin/sh\n');
    // Root may execute only what has an executable bit, too.
    await chmod(plain, 0o644);
    assert.throws(() => parseInteropOptions(['--peer', plain]), /is not executable/);
  });

  it('refuses what it does not know', () => {
    assert.throws(() => parseInteropOptions(['--only', 'frp']), /--only must be one of quick, named, private/);
    assert.throws(() => parseInteropOptions(['--peers', 'x']), /--peers/);
    assert.throws(() => parseInteropOptions(['x']), /x/);
  });
});

function nothingAt(path: string): string {
  return `--peer must be the path of a cloudflared; there is nothing at ${path}`;
}
