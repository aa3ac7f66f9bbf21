// The packages of Linux, and the repositories that offer them.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { makeAptRepository } from './apt-repository.ts';
import { packageFiles } from './contents.ts';
import { buildDeb, debKind } from './deb.ts';
import { architectures, type Recipe } from './recipe.ts';
import { buildRpm, rpmKind } from './rpm.ts';
import type { Signer } from './signing.ts';
import { makeYumRepository } from './yum-repository.ts';

export interface LinuxOptions {
  /** Paths of the binaries by target; packages are made for those that are there. */
  readonly binaries: ReadonlyMap<string, string>;
  /** Where packages go; repositories are below, in apt/ and yum/. */
  readonly folder: string;
  /** In seconds. */
  readonly epoch: number;
  readonly isFast: boolean;
  /** Without one there are packages, not signed, and no repositories. */
  readonly signer: Signer | undefined;
  /** Where the folder of repositories will be served, without a slash at the end. */
  readonly url: string;
}

/** Gives the paths of what was made. */
export async function makeLinuxPackages(options: LinuxOptions): Promise<readonly string[]> {
  const { binaries, folder, epoch, isFast, signer, url } = options;
  mkdirSync(folder, { recursive: true });
  const debs: string[] = [];
  const rpms: string[] = [];
  for (const architecture of architectures) {
    const binary = binaries.get(architecture.target);
    if (binary === undefined) continue;
    const recipe: Recipe = { architecture, epoch, isFast, folder };
    debs.push(buildDeb(await packageFiles(binary, debKind, epoch), recipe));
    rpms.push(buildRpm(await packageFiles(binary, rpmKind, epoch), recipe));
  }
  if (signer === undefined) return [...debs, ...rpms];
  signer.signRpms(rpms);
  const apt = join(folder, 'apt');
  const yum = join(folder, 'yum');
  makeAptRepository({ folder: apt, debs, signer, epoch, url: `${url}/apt` });
  makeYumRepository({ folder: yum, rpms, signer, epoch, url: `${url}/yum` });
  return [...debs, ...rpms, apt, yum];
}
