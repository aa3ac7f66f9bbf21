// A repository of RPM packages as static files: the packages, repodata/ with what is in it, and a signature over that. Packages
// of earlier versions that are there stay on offer. Source: createrepo_c(8); dnf.conf(5).

import { execFileSync } from 'node:child_process';
import { copyFileSync, globSync, mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Signer } from './signing.ts';

export interface YumOptions {
  /** The folder that is served; it is made anew but for its packages. */
  readonly folder: string;
  /** Signed. */
  readonly rpms: readonly string[];
  readonly signer: Signer;
  /** In seconds. */
  readonly epoch: number;
  /** Where it will be served. */
  readonly url: string;
}

export function makeYumRepository({ folder, rpms, signer, epoch, url }: YumOptions): void {
  const packages = join(folder, 'packages');
  mkdirSync(packages, { recursive: true });
  for (const rpm of rpms) copyFileSync(rpm, join(packages, basename(rpm)));
  // The index tells the time of each file.
  for (const name of globSync('*.rpm', { cwd: packages })) utimesSync(join(packages, name), epoch, epoch);
  rmSync(join(folder, 'repodata'), { recursive: true, force: true });
  execFileSync(
    'createrepo_c',
    [
      ...['--quiet', '--no-database', '--general-compress-type=gz', '--workers=1'],
      ...['--revision', String(epoch), '--set-timestamp-to-revision', folder],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const index = join(folder, 'repodata/repomd.xml');
  signer.signDetached(index, `${index}.asc`);
  writeFileSync(join(folder, 'postern.asc'), signer.publicKey);
  writeFileSync(
    join(folder, 'postern.repo'),
    `[postern]
name=Postern
baseurl=${url}
enabled=1
gpgcheck=1
repo_gpgcheck=1
gpgkey=${url}/postern.asc
`,
  );
}
