// dist/postern: the program as files, which is also the npm package: nothing to install beside it, no script to run.

import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleFiles } from './bundle.ts';
import { nativePartsOf, placeNativeParts } from './native-parts.ts';
import { root } from './root.ts';
import type { Target } from './targets.ts';
import { thirdPartyText } from './third-party.ts';

/** What the package's manifest takes over from the checkout's. */
interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly engines: Readonly<Record<string, string>>;
}

export const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;

/** Makes `folder` anew with the program, and the native parts of `targets`. */
export async function buildTree(folder: string, targets: readonly Target[]): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  const lib = join(folder, 'lib');
  mkdirSync(lib, { recursive: true });
  const metafile = await bundleFiles(lib);
  for (const target of targets) placeNativeParts(lib, nativePartsOf(target));

  copyFileSync(join(root, 'scripts/build/launcher.cjs'), join(folder, 'postern.cjs'));
  chmodSync(join(folder, 'postern.cjs'), 0o755);
  for (const name of ['LICENSE', 'README.md', 'CHANGES.md']) copyFileSync(join(root, name), join(folder, name));
  writeFileSync(join(folder, 'THIRD-PARTY.txt'), thirdPartyText({ metafile }));
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(packageManifest(), undefined, 2)}\n`);
}

/** Makes npm's archive of the tree in `folder`; gives its path. */
export function packTree(tree: string, folder: string): string {
  const name = execFileSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder, tree], {
    cwd: root,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  return join(folder, name.trim());
}

/** Everything is bundled, so it depends on nothing. */
function packageManifest(): object {
  const { name, version, description, license, engines } = manifest;
  return { name, version, description, license, engines, type: 'module', bin: { postern: 'postern.cjs' } };
}
