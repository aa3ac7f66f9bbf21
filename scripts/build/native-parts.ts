// The native parts of a build: the QUIC engine where its binary is committed, koffi's, and the keychain's. They stand beside the bundled
// files as they do beside the sources, in `prebuilt/<platform>-<arch>[-libc]/`.

import { chmodSync, copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { bringPackage, lockedPackage } from './registry-package.ts';
import { root } from './root.ts';
import { hostTarget, type Target } from './targets.ts';

export interface NativePart {
  /** `linux-x64-gnu`. */
  readonly folder: string;
  readonly fileName: 'postern-quic.node' | 'koffi.node' | 'keyring.node';
  /** Absolute. */
  readonly path: string;
}

export const koffiPackageOf = (target: Target): string => `@koromix/koffi-${target.name}`;

/** What there is for a target. Binaries of other platforms are brought from npm. */
export function nativePartsOf(target: Target): readonly NativePart[] {
  const folderOf = (name: string): string => {
    const installed = join(root, 'node_modules', name);
    return target === hostTarget && existsSync(installed) ? installed : bringPackage(lockedPackage(name));
  };
  const koffiFolder = folderOf(koffiPackageOf(target));
  return target.natives
    .flatMap(({ folder, keyring, koffi: inside }): NativePart[] => [
      {
        folder,
        fileName: 'postern-quic.node',
        path: join(root, 'internal/quic/prebuilt', folder, 'postern-quic.node'),
      },
      { folder, fileName: 'koffi.node', path: join(koffiFolder, inside, 'koffi.node') },
      {
        folder,
        fileName: 'keyring.node',
        path: join(folderOf(`@napi-rs/keyring-${keyring}`), `keyring.${keyring}.node`),
      },
    ])
    .filter(({ path }) => existsSync(path));
}

/** Copies parts into `lib`, the folder of the bundled files. */
export function placeNativeParts(lib: string, parts: readonly NativePart[]): void {
  for (const { folder, fileName, path } of parts) {
    const target = join(lib, 'prebuilt', folder);
    mkdirSync(target, { recursive: true });
    copyFileSync(path, join(target, fileName));
    chmodSync(join(target, fileName), 0o644);
  }
}
