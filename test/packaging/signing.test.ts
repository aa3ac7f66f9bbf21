// The keys that repositories are signed with: given, never made unasked.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { openSigner } from '../../scripts/package/signing.ts';
import { repository } from '../support/child-program.ts';
import { haveCommand } from '../support/debian-package.ts';

const run = promisify(execFile);
const epoch = 1_790_000_000;

describe('signing key', {
  skip: haveCommand('gpg', ['gpg']) ? false : 'gpg is not here and could not be installed',
}, () => {
  let folder: string;
  let home: string;
  const gpg = (...args: readonly string[]) =>
    run('gpg', ['--homedir', home, '--batch', '--yes', '--pinentry-mode', 'loopback', ...args], { maxBuffer: 1 << 20 });
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-key-'));
    home = join(folder, 'home');
    await mkdir(home, { mode: 0o700 });
    await writeFile(join(folder, 'passphrase'), 'a secret\n', { mode: 0o600 });
    const unlock = ['--passphrase-file', join(folder, 'passphrase')];
    await gpg(...unlock, '--quick-generate-key', 'Release <release@example.com>', 'rsa3072', 'sign', 'never');
    const { stdout } = await gpg(...unlock, '--armor', '--export-secret-keys');
    await writeFile(join(folder, 'key.asc'), stdout, { mode: 0o600 });
    await writeFile(join(folder, 'text'), 'Suite: any\n');
    await chmod(folder, 0o700);
  });
  after(async () => {
    await run('gpgconf', ['--homedir', home, '--kill', 'all']);
    await rm(folder, { recursive: true, force: true });
  });

  const fromFile = (passphrase: string) =>
    openSigner({ kind: 'file', path: join(folder, 'key.asc'), passphraseFile: join(folder, passphrase) }, epoch);

  it('comes from a file with a passphrase, signs what gpg verifies, and the same twice', async () => {
    using signer = fromFile('passphrase');
    const text = join(folder, 'text');
    for (const name of ['first', 'second']) {
      signer.signText(text, join(folder, `${name}.clear`));
      signer.signDetached(text, join(folder, `${name}.asc`));
    }
    await gpg('--verify', join(folder, 'first.clear'));
    await gpg('--verify', join(folder, 'first.asc'), text);
    for (const kind of ['clear', 'asc'])
      assert.deepEqual(await readFile(join(folder, `first.${kind}`)), await readFile(join(folder, `second.${kind}`)));
    const { stdout } = await gpg('--list-keys', '--with-colons');
    assert.ok(stdout.includes(`:${signer.fingerprint}:`));
  });

  it('signs packages, too, as rpm finds', async t => {
    if (!haveCommand('rpmsign', ['rpm'])) return t.skip('rpm is not here and could not be installed');
    const spec =
      'Name: a\nVersion: 1\nRelease: 1\nSummary: A\nLicense: none\nBuildArch: noarch\n%description\nA.\n%files\n';
    await writeFile(join(folder, 'a.spec'), spec);
    await run('rpmbuild', ['-bb', '--quiet', '--define', `_topdir ${folder}`, join(folder, 'a.spec')]);
    const rpm = join(folder, 'RPMS/noarch/a-1-1.noarch.rpm');
    using signer = fromFile('passphrase');
    signer.signRpms([rpm]);
    await writeFile(join(folder, 'public.asc'), signer.publicKey);
    const database = ['--define', `_dbpath ${join(folder, 'database')}`];
    await run('rpmkeys', [...database, '--import', join(folder, 'public.asc')]);
    assert.match((await run('rpmkeys', [...database, '--checksig', '--verbose', rpm])).stdout, /Signature.*: OK/);
  });

  it('is refused when it is not there, or the passphrase is another', async () => {
    assert.throws(() => openSigner({ kind: 'home', key: 'nobody@example.invalid' }, epoch), /gpg/);
    await writeFile(join(folder, 'other'), 'wrong\n', { mode: 0o600 });
    using signer = fromFile('other');
    assert.throws(() => signer.signDetached(join(folder, 'text'), join(folder, 'wrong.asc')), /Bad passphrase/);
  });

  it('is asked for before anything is built', async () => {
    const words = ['--disable-warning=ExperimentalWarning', 'scripts/package.ts'];
    for (const given of [[], ['--key', 'a', '--test-key']]) {
      const made = run(process.execPath, [...words, ...given], { cwd: repository });
      await assert.rejects(made, {
        code: 64,
        stderr: /^Repositories are signed: give --key KEY of your GNUPGHOME, or --key-file FILE/,
      });
    }
  });
});
