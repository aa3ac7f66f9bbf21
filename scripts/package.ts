// `npm run package`: packages of Linux with their signed repositories, and manifests for other package managers, in dist/.
//   --key KEY                       sign with a key of GNUPGHOME, by fingerprint, id or address
//   --key-file FILE                 sign with an exported secret key; --passphrase-file FILE unlocks it
//   --test-key                      sign with a key that is made now and thrown away, for tests
//   --no-repositories               packages without signatures, no repositories
//   --url URL                       where dist/ will be served (default: a placeholder)
//   --target T                      only for these platforms; repeatable (default: all)
//   --fast                          compress little
// Needs Debian's packages rpm, createrepo-c and gpg, which it installs when it may. SOURCE_DATE_EPOCH is the commit's.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildBinary } from './build/binary.ts';
import { manifest } from './build/package-tree.ts';
import { distFolder } from './build/root.ts';
import { targetNamed, targets } from './build/targets.ts';
import { sourceDate } from './package/contents.ts';
import { makeLinuxPackages } from './package/linux-packages.ts';
import { homebrewFormula, wingetManifest, writeChart, writeContainerFolder } from './package/other-managers.ts';
import { type KeyChoice, openSigner } from './package/signing.ts';
import { requirePackagingTools } from './package/tools.ts';

const { values } = parseArgs({
  allowNegative: true,
  options: {
    key: { type: 'string' },
    'key-file': { type: 'string' },
    'passphrase-file': { type: 'string' },
    'test-key': { type: 'boolean', default: false },
    repositories: { type: 'boolean', default: true },
    url: { type: 'string', default: 'https://packages.example.com' },
    target: { type: 'string', multiple: true },
    fast: { type: 'boolean', default: false },
  },
});

const epoch = sourceDate();
const url = values.url.replace(/\/+$/, '');
const choice = values.repositories ? keyChoice() : undefined;
requirePackagingTools();
// Before anything takes long: a key that cannot be used.
using signer = choice === undefined ? undefined : openSigner(choice, epoch);

const binaries = new Map<string, string>();
for (const target of values.target?.map(targetNamed) ?? targets) {
  const suffix = target.name.startsWith('win32-') ? '.exe' : '';
  const path = join(distFolder, `postern-${manifest.version}-${target.name}${suffix}`);
  const { notes } = await buildBinary(target, path);
  binaries.set(target.name, path);
  console.log([`Made ${path}`, ...notes].join('; '));
}

const made = await makeLinuxPackages({ binaries, folder: distFolder, epoch, isFast: values.fast, signer, url });
for (const path of made) console.log(`Made ${path}`);

const formula = homebrewFormula(binaries, url);
if (formula !== undefined) write('homebrew/postern.rb', formula);
for (const [name, text] of Object.entries(wingetManifest(binaries, url) ?? {})) write(`winget/${name}`, text);
writeChart(join(distFolder, 'helm/postern'));
console.log(`Made ${join(distFolder, 'helm/postern')}`);
const containerBinary = binaries.get(`linux-${process.arch}`);
if (containerBinary !== undefined) {
  writeContainerFolder(join(distFolder, 'container'), containerBinary);
  console.log(
    `Made ${join(distFolder, 'container')}, for: podman build ${join(distFolder, 'container')} --tag postern`,
  );
}

function write(name: string, text: string): void {
  const path = join(distFolder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  console.log(`Made ${path}`);
}

function keyChoice(): KeyChoice {
  const { key, 'key-file': path, 'passphrase-file': passphraseFile, 'test-key': isTest } = values;
  if ([key, path, isTest || undefined].filter(given => given !== undefined).length !== 1) {
    console.error(
      'Repositories are signed: give --key KEY of your GNUPGHOME, or --key-file FILE; --test-key for a test; ' +
        '--no-repositories makes packages alone',
    );
    process.exit(64);
  }
  if (key !== undefined) return { kind: 'home', key };
  return path === undefined ? { kind: 'test' } : { kind: 'file', path, passphraseFile };
}
