// The list of releases that `postern update` reads, releases.json: who may sign it, and the programs of this version in it beside
// those of earlier ones. Keys are made by scripts/release-keys.ts.

import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readSecretFile } from '../../internal/credentials/secret-file.ts';
import {
  type Release,
  type Releases,
  readReleaseList,
  signedTextSchema,
  signingKeysSchema,
} from '../../internal/update/release-list.ts';
import {
  isSignedBy,
  type PublicKeyText,
  publicKeyText,
  type SignedText,
  signText,
} from '../../internal/update/signed-text.ts';

const dayMs = 24 * 60 * 60_000;
export const listName = 'releases.json';

/** Who signs a list: a key, the roots' word for it, and the roots, which go into the programs. */
export interface ReleaseSigner {
  readonly roots: readonly PublicKeyText[];
  readonly signingKeys: SignedText;
  readonly key: KeyObject;
}

export interface ReleaseKeyFiles {
  /** The signing key, as PEM. */
  readonly key: string;
  /** What `npm run release-keys -- certify` wrote. */
  readonly signingKeys: string;
  /** Public keys of roots. */
  readonly roots: readonly string[];
}

/** Throws when a file is missing or readable by everybody, or when the roots do not vouch for the key. */
export function openReleaseSigner(files: ReleaseKeyFiles): ReleaseSigner {
  const key = readPrivateKey(files.key);
  const roots = files.roots.map(readPublicKey);
  const signingKeys = signedTextSchema.parse(JSON.parse(readFileSync(files.signingKeys, 'utf8')));
  if (!isSignedBy('signing-keys', signingKeys, roots)) throw new Error(`No root signed ${files.signingKeys}`);
  const { keys, expires } = signingKeysSchema.parse(JSON.parse(signingKeys.text));
  if (!keys.includes(publicKeyText(key))) throw new Error(`${files.signingKeys} does not name the key ${files.key}`);
  if (Date.parse(expires) <= Date.now()) throw new Error(`${files.signingKeys} held until ${expires}: certify it anew`);
  return { roots, signingKeys, key };
}

/** Keys for one run of a test. */
export function makeReleaseSigner(): ReleaseSigner {
  const root = generateKeyPairSync('ed25519').privateKey;
  const key = generateKeyPairSync('ed25519').privateKey;
  const signingKeys = certifyKeys([root], [publicKeyText(key)], 365);
  return { roots: [publicKeyText(root)], signingKeys, key };
}

/** The roots' word for signing keys, for so many days from now. */
export function certifyKeys(roots: readonly KeyObject[], keys: readonly PublicKeyText[], days: number): SignedText {
  return signText('signing-keys', JSON.stringify({ ...validFor(days), keys }), roots);
}

export interface ReleaseListOptions {
  /** Where the programs are, and earlier lists of them. */
  readonly folder: string;
  readonly version: string;
  /** Paths by target. */
  readonly programs: ReadonlyMap<string, string>;
  readonly signer: ReleaseSigner;
  /** How long the list holds. */
  readonly days: number;
}

/** Writes releases.json; gives its path. Throws when there is one already that these roots do not vouch for. */
export function writeReleaseList({ folder, version, programs, signer, days }: ReleaseListOptions): string {
  const path = join(folder, listName);
  const earlier = existsSync(path) ? earlierReleases(path, signer) : [];
  const made = Object.fromEntries([...programs].map(([target, file]) => [target, describeProgram(file)]));
  const same = earlier.find(release => release.version === version)?.programs;
  const releases = [
    ...earlier.filter(release => release.version !== version),
    { version, programs: { ...same, ...made } },
  ];
  writeFileSync(path, releaseListText({ ...validFor(days), releases }, signer));
  return path;
}

/** The text of releases.json. */
export function releaseListText(list: Releases, { signingKeys, key }: ReleaseSigner): string {
  return `${JSON.stringify({ signingKeys, releases: signText('releases', JSON.stringify(list), [key]) })}\n`;
}

/** Name, size and hash of a program, for the list. */
export function describeProgram(path: string): Release['programs'][string] {
  const content = readFileSync(path);
  return {
    name: basename(path),
    bytes: content.byteLength,
    sha256: createHash('sha256').update(content).digest('hex'),
  };
}

/** Now, and the end of so many days. */
export function validFor(days: number): { readonly issued: string; readonly expires: string } {
  const nowMs = Date.now();
  return { issued: new Date(nowMs).toISOString(), expires: new Date(nowMs + days * dayMs).toISOString() };
}

/** Throws when it cannot be read, or others can read it. */
export function readPrivateKey(path: string): KeyObject {
  const text = readSecretFile(path, 'The key');
  if (text === undefined) throw new Error(`There is no key ${path}; npm run release-keys makes one`);
  return createPrivateKey(text);
}

/** A file of `npm run release-keys`: one public key. */
export function readPublicKey(path: string): PublicKeyText {
  const text = readFileSync(path, 'utf8').trim();
  if (!/^[\w-]{43}$/.test(text)) throw new Error(`${path} does not hold a public key of npm run release-keys`);
  return text;
}

/** What was released before: out of date or not, it is this folder's own. */
function earlierReleases(path: string, { roots }: ReleaseSigner): readonly Release[] {
  return readReleaseList(readFileSync(path, 'utf8'), { roots, nowMs: 0, seen: undefined }).releases;
}
