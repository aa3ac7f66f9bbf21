// Keys for releases: made, certified and used as docs/packages.md says.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { readReleaseList } from '../internal/update/release-list.ts';
import { temporaryDirectory } from '../test/support/program.ts';
import { openReleaseSigner, writeReleaseList } from './package/releases.ts';

const run = promisify(execFile);
const script = join(import.meta.dirname, 'release-keys.ts');

describe('npm run release-keys', () => {
  it('makes keys with which a list of releases is signed, version after version', async t => {
    const folder = await temporaryDirectory(t);
    const at = (name: string): string => join(folder, name);
    const keys = (...args: string[]) =>
      run(process.execPath, ['--disable-warning=ExperimentalWarning', script, ...args], { cwd: folder });
    await keys('make', 'root');
    await keys('make', 'signing');
    assert.equal(statSync(at('root')).mode & 0o777, 0o600);
    await assert.rejects(keys('make', 'root'), { code: 1, stderr: 'root is there already, and is left as it is\n' });
    await keys('certify', '--root', 'root', '--output', 'keys.json', 'signing.pub');
    await assert.rejects(keys('certify', 'signing.pub'), { code: 64 });

    const files = { key: at('signing'), signingKeys: at('keys.json'), roots: [at('root.pub')] };
    const signer = openReleaseSigner(files);
    writeFileSync(at('program'), 'a program');
    for (const version of ['1.0.0', '1.1.0', '1.1.0'])
      writeReleaseList({ folder, version, programs: new Map([['linux-x64', at('program')]]), signer, days: 1 });
    const list = readReleaseList(readFileSync(at('releases.json'), 'utf8'), {
      ...{ roots: [readFileSync(at('root.pub'), 'utf8').trim()], nowMs: Date.now(), seen: undefined },
    });
    assert.deepEqual(
      list.releases.map(({ version, programs }) => [version, programs['linux-x64']?.bytes]),
      [
        ['1.0.0', 9],
        ['1.1.0', 9],
      ],
    );

    // Keys of nobody that the roots know, and secrets that are none.
    assert.throws(() => openReleaseSigner({ ...files, key: at('root') }), /does not name the key/);
    assert.throws(() => openReleaseSigner({ ...files, roots: [at('signing.pub')] }), /No root signed/);
    for (const parent of [folder, at('signing')]) chmodSync(parent, 0o755);
    assert.throws(() => openReleaseSigner(files), /can be read by every user of this machine.*chmod 600/);
  });
});
