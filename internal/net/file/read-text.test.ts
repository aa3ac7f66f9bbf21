import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { temporaryDirectory } from '../../../test/support/program.ts';
import { readText } from './read-text.ts';

describe('texts of files', { skip: process.platform === 'win32' }, () => {
  it('are read up to their bound', async t => {
    const path = join(await temporaryDirectory(t), 'file');
    writeFileSync(path, 'ä'.repeat(100_000));
    assert.equal(await readText(path, 200_000), 'ä'.repeat(100_000));
    await assert.rejects(readText(path, 199_999), { message: 'it is larger than 199999 bytes' });
    await assert.rejects(readText(`${path}.no`, 10), { code: 'ENOENT' });
  });

  it('end, where a device or a pipe does not', async t => {
    const folder = await temporaryDirectory(t);
    await assert.rejects(readText('/dev/zero', 1 << 20), { message: /larger than 1048576 bytes/ });
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    await assert.rejects(readText(pipe, 1_000, 50), { message: 'nothing was written to it in 0.05 s' });
    // As `<(…)` of a shell: written a moment later, in parts.
    const writer = spawn('sh', ['-c', `(printf one; sleep 0.1; printf two) > '${pipe}'`]);
    const [text] = await Promise.all([readText(pipe, 1_000), once(writer, 'close')]);
    assert.equal(text, 'onetwo');
    const endless = spawn('sh', ['-c', `yes > '${pipe}'`], { detached: true });
    await assert.rejects(readText(pipe, 100_000), { message: /larger than/ });
    await once(endless, 'close');
  });
});
