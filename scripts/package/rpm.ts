// A package of Fedora and its relatives. rpmbuild's own macros strip programs, which breaks a single binary, look for what it
// needs, and write links by build id: all of that is off. Source: rpm's manual, "Spec file format".

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { manifest } from '../build/package-tree.ts';
import { root } from '../build/root.ts';
import { emptyDirectories, type PackageFile, type PackageKind, stageFiles } from './contents.ts';
import type { Recipe } from './recipe.ts';

export const rpmKind: PackageKind = {
  zshFolder: '/usr/share/zsh/site-functions',
  licencePath: '/usr/share/licenses/postern/LICENSE',
};

const release = 1;

/** Makes the package in `folder`, not signed; gives its path. */
export function buildRpm(files: readonly PackageFile[], recipe: Recipe): string {
  const { architecture, epoch, folder } = recipe;
  const name = `postern-${manifest.version}-${release}.${architecture.rpm}.rpm`;
  const top = join(folder, `.rpm-${architecture.rpm}`);
  rmSync(top, { recursive: true, force: true });
  try {
    const stage = join(top, 'stage');
    mkdirSync(stage, { recursive: true });
    stageFiles(stage, files, epoch);
    writeFileSync(join(top, 'postern.spec'), specText(files, stage, recipe));
    execFileSync(
      'rpmbuild',
      [
        ...['-bb', '--quiet', '--target', `${architecture.rpm}-linux`],
        '--define',
        `_topdir ${top}`,
        join(top, 'postern.spec'),
      ],
      { env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch) }, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    copyFileSync(join(top, 'RPMS', architecture.rpm, name), join(folder, name));
  } finally {
    rmSync(top, { recursive: true, force: true });
  }
  return join(folder, name);
}

function specText(files: readonly PackageFile[], stage: string, { isFast }: Recipe): string {
  const script = (name: string): string => `%${name}\n${readFileSync(join(root, 'packaging/rpm', name), 'utf8')}`;
  return `%global __os_install_post %{nil}
%global debug_package %{nil}
%global _build_id_links none
%global __brp_mangle_shebangs %{nil}
%define _binary_payload ${isFast ? 'w1.zstdio' : 'w6.xzdio'}
# The same bytes wherever and whenever it is built.
%define _buildhost reproducible
%define use_source_date_epoch_as_buildtime 1
%define clamp_mtime_to_source_date_epoch 1
%define source_date_epoch_from_changelog 0
Name: postern
Version: ${manifest.version.replaceAll('-', '~')}
Release: ${release}
Summary: Publish services that sit behind a firewall
License: ${manifest.license}
AutoReqProv: no
Requires: glibc >= 2.34, libstdc++, libatomic
Requires(pre): shadow-utils
%description
A connector runs beside a service, dials out, and keeps connections to edge
nodes; an edge takes what visitors send and hands it down those connections.
Both are this program. It speaks the protocol of cloudflared.
%install
cp -a ${stage}/. %{buildroot}/
%files
${emptyDirectories.map(path => `%dir ${path}`).join('\n')}
${files.map(({ path, mode = 0o644 }) => `%attr(${mode.toString(8)},root,root) ${path}`).join('\n')}
${['pre', 'post', 'preun', 'posttrans'].map(script).join('\n')}`;
}
