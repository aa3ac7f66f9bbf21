// Packages of other platforms, which `npm ci` leaves out: brought by npm's own client into .runtime/packages, checked
// against a hash from this repository, unpacked once.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './root.ts';
import type { RegistryPackage } from './targets.ts';

const store = join(root, '.runtime', 'packages');

/** The folder of the unpacked package. Throws when npm cannot bring it, or what came is not what the hash is of. */
export function bringPackage(wanted: RegistryPackage): string {
  const folder = join(store, `${wanted.name.replace('/', '+')}@${wanted.version}`);
  if (existsSync(folder)) return folder;
  mkdirSync(store, { recursive: true });
  // Builds that run at the same time bring it each; the first one's stays.
  const work = mkdtempSync(join(store, 'new-'));
  try {
    const packed = execFileSync('npm', ['pack', '--silent', `${wanted.name}@${wanted.version}`], {
      cwd: work,
      encoding: 'utf8',
      shell: process.platform === 'win32',
    });
    const archive = join(work, packed.trim());
    const integrity = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
    if (integrity !== wanted.integrity)
      throw new Error(`${wanted.name} ${wanted.version} is ${integrity}, not ${wanted.integrity}`);
    execFileSync('tar', ['-xzf', archive, '-C', work]);
    renameUnlessThere(join(work, 'package'), folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}

/** What package-lock.json says of a package, of this platform or another. */
export function lockedPackage(name: string): RegistryPackage {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, { readonly version: string; readonly integrity: string }>>;
  };
  const entry = lock.packages[`node_modules/${name}`];
  if (entry === undefined) throw new Error(`package-lock.json has no ${name}`);
  return { name, version: entry.version, integrity: entry.integrity };
}

function renameUnlessThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!existsSync(to)) throw error;
  }
}
