// A package of Debian and its relatives. Source: deb(5), deb-control(5), Debian's policy, chapter 6.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  lutimesSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { manifest } from '../build/package-tree.ts';
import { root } from '../build/root.ts';
import { type PackageFile, type PackageKind, stageFiles } from './contents.ts';
import type { Recipe } from './recipe.ts';

export const debKind: PackageKind = {
  zshFolder: '/usr/share/zsh/vendor-completions',
  licencePath: '/usr/share/doc/postern/copyright',
};

/** Makes the package in `folder`; gives its path. */
export function buildDeb(files: readonly PackageFile[], { architecture, epoch, isFast, folder }: Recipe): string {
  const { deb } = architecture;
  const output = join(folder, `postern_${manifest.version}_${deb}.deb`);
  const stage = join(folder, `.stage-${deb}`);
  rmSync(stage, { recursive: true, force: true });
  try {
    stageFiles(stage, files, epoch);
    const control = join(stage, 'DEBIAN');
    mkdirSync(control, { mode: 0o755 });
    writeFileSync(join(control, 'control'), controlText(deb, installedKib(stage, files)));
    writeFileSync(
      join(control, 'md5sums'),
      files.map(({ path }) => `${md5(join(stage, path))}  ${path.slice(1)}\n`).join(''),
    );
    for (const name of ['postinst', 'prerm', 'postrm']) {
      copyFileSync(join(root, 'packaging/deb', name), join(control, name));
      chmodSync(join(control, name), 0o755);
    }
    lutimesSync(stage, epoch, epoch);
    // One thread: with several the compressed bytes would depend on how many there are.
    const compression = isFast ? ['-Zzstd', '-z1'] : ['-Zxz', '-z6'];
    execFileSync('dpkg-deb', ['--root-owner-group', '--threads-max=1', ...compression, '--build', stage, output], {
      env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch) },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
  return output;
}

/** libatomic is wanted by Node, libc's version by the QUIC engine. */
function controlText(architecture: string, installedSize: number): string {
  return `Package: postern
Version: ${manifest.version}
Architecture: ${architecture}
Maintainer: Postern maintainers <postern@example.com>
Installed-Size: ${installedSize}
Depends: libatomic1, libc6 (>= 2.34), libstdc++6 (>= 9), passwd
Recommends: ca-certificates
Section: net
Priority: optional
Description: publish services that sit behind a firewall
 A connector runs beside a service, dials out, and keeps connections to edge
 nodes; an edge takes what visitors send and hands it down those connections.
 Both are this program. It speaks the protocol of cloudflared.
`;
}

function installedKib(stage: string, files: readonly PackageFile[]): number {
  return Math.ceil(files.reduce((sum, { path }) => sum + Math.ceil(statSync(join(stage, path)).size / 1024), 0));
}

function md5(path: string): string {
  return createHash('md5').update(readFileSync(path)).digest('hex');
}
