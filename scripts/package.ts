// `npm run package`: packages of Linux with their signed repositories, and manifests for other package managers, in dist/.
//   --key KEY                       sign with a key of GNUPGHOME, by fingerprint, id or address
//   --key-file FILE                 sign with an exported secret key; --passphrase-file FILE unlocks it
//   --test-key                      sign with keys that are made now and thrown away, for tests
//   --no-repositories               packages without signatures, no repositories
//   --release-key FILE              sign the list that `postern update` reads, with a key of `npm run release-keys`
//   --release-keys FILE             the roots' word for that key, as `npm run release-keys -- certify` wrote it
//   --release-root FILE             a root's public key, which goes into the programs; repeatable
//   --release-days N                how long the list holds (default: 90)
//   --url URL                       where dist/ will be served (default: a placeholder)
//   --target T                      only for these platforms; repeatable (default: all)
//   --fast                          compress little
// Needs Debian's packages rpm, createrepo-c and gpg, which it installs when it may. SOURCE_DATE_EPOCH is the commit's.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildBinary } from './build/binary.ts';
import { parseOptions } from './build/options.ts';
import { manifest } from './build/package-tree.ts';
import { distFolder } from './build/root.ts';
import { targetNamed, targets } from './build/targets.ts';
import { sourceDate } from './package/contents.ts';
import { makeLinuxPackages } from './package/linux-packages.ts';
import { homebrewFormula, wingetManifest, writeChart, writeContainerFolder } from './package/other-managers.ts';
import {
  listName,
  makeReleaseSigner,
  openReleaseSigner,
  type ReleaseSigner,
  writeReleaseList,
} from './package/releases.ts';
import { type KeyChoice, openSigner } from './package/signing.ts';
import { requirePackagingTools } from './package/tools.ts';

const { values } = parseOptions(import.meta.filename, {
  allowNegative: true,
  options: {
    key: { type: 'string' },
    'key-file': { type: 'string' },
    'passphrase-file': { type: 'string' },
    'test-key': { type: 'boolean', default: false },
    'release-key': { type: 'string' },
    'release-keys': { type: 'string' },
    'release-root': { type: 'string', multiple: true, default: [] },
    'release-days': { type: 'string', default: '90' },
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
const releaseSigner = openReleases();
const identity =
  releaseSigner === undefined ? {} : { updates: { url: `${url}/${listName}`, roots: releaseSigner.roots } };

const binaries = new Map<string, string>();
for (const target of values.target?.map(targetNamed) ?? targets) {
  const suffix = target.name.startsWith('win32-') ? '.exe' : '';
  const path = join(distFolder, `postern-${manifest.version}-${target.name}${suffix}`);
  const { notes } = await buildBinary(target, path, identity);
  binaries.set(target.name, path);
  console.log([`Made ${path}`, ...notes].join('; '));
}

if (releaseSigner === undefined) console.log('No --release-key: these programs know no updates');
else {
  const days = Number(values['release-days']);
  // A list of other keys would be refused.
  if (values['release-key'] === undefined) rmSync(join(distFolder, listName), { force: true });
  const list = { folder: distFolder, version: manifest.version, programs: binaries, signer: releaseSigner, days };
  console.log(`Made ${writeReleaseList(list)}`);
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

/** Undefined when the programs are to know no updates. */
function openReleases(): ReleaseSigner | undefined {
  const { 'release-key': key, 'release-keys': signingKeys, 'release-root': roots } = values;
  if (key === undefined && signingKeys === undefined && roots.length === 0)
    return values['test-key'] ? makeReleaseSigner() : undefined;
  const isDays = /^[1-9]\d{0,3}$/.test(values['release-days']);
  if (key !== undefined && signingKeys !== undefined && roots.length > 0 && isDays && url.startsWith('https:'))
    return openReleaseSigner({ key, signingKeys, roots });
  console.error(
    'Lists of releases are signed: give --release-key FILE, --release-keys FILE and --release-root FILE together, ' +
      '--release-days in days, and a --url with https:',
  );
  process.exit(64);
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
