// Addons whose bytes are at hand, as in the single binary; the binary itself is tried in test/build.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { embeddedAddon, isSingleBinary, loadAddon, loadBytes, nativeFolders } from './addon.ts';

const run = promisify(execFile);
const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const engine = join(root, 'internal/quic/prebuilt/linux-x64-gnu/postern-quic.node');
const koffi = join(root, 'node_modules/@koromix/koffi-linux-x64/linux_x64/koffi.node');
const skip = process.platform === 'linux' && process.arch === 'x64' ? false : 'the committed engine is for linux-x64';

describe('native addon', () => {
  it('is not inside of a program that is no single binary', () => {
    assert.equal(isSingleBinary, false);
    assert.equal(embeddedAddon('postern-quic.node'), undefined);
    assert.ok(nativeFolders[0]?.startsWith(`${process.platform}-${process.arch}`));
  });

  it('is loaded from bytes, each its own, and leaves no file behind', { skip }, async t => {
    const folder = await mkdtemp(join(tmpdir(), 'postern-addon-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const script = `
      import { readFileSync } from 'node:fs';
      const { loadBytes } = await import(${JSON.stringify(new URL('./addon.ts', import.meta.url).href)});
      const names = path => Object.keys(loadBytes('x.node', readFileSync(path)));
      console.log(JSON.stringify([names(${JSON.stringify(engine)}), names(${JSON.stringify(koffi)})]));`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script], {
      env: { TMPDIR: folder },
    });
    const [ofEngine, ofKoffi] = JSON.parse(stdout) as readonly string[][];
    assert.ok(ofEngine?.includes('createEndpoint'));
    assert.ok(ofKoffi?.includes('load') && !ofKoffi.includes('createEndpoint'));
    assert.deepEqual(await readdir(folder), []);
  });

  it('that is no library is refused with the words of the system', async () => {
    const bytes = await readFile(fileURLToPath(import.meta.url));
    assert.throws(() => loadBytes('text.node', bytes), { code: 'ERR_DLOPEN_FAILED' });
    assert.throws(() => loadAddon('/nowhere/addon.node'), { code: 'MODULE_NOT_FOUND' });
  });
});
