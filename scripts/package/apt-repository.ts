// A repository of Debian packages as static files: pool/ with the packages, dists/SUITE/ with what is in it, signed, for every
// suite the same. Packages of earlier versions that are in the pool stay on offer. Source: Debian's RepositoryFormat;
// sources.list(5), "DEB822-STYLE FORMAT".

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, globSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { architectures } from './recipe.ts';
import type { Signer } from './signing.ts';

/** `any` for who does not care, and code names of the distributions whose C library is new enough. */
export const suites = ['any', 'bookworm', 'trixie', 'jammy', 'noble'] as const;

const component = 'main';
const pool = `pool/${component}/p/postern`;

export interface AptOptions {
  /** The folder that is served; it is made anew but for its pool. */
  readonly folder: string;
  readonly debs: readonly string[];
  readonly signer: Signer;
  /** In seconds. */
  readonly epoch: number;
  /** Where it will be served. */
  readonly url: string;
}

export function makeAptRepository({ folder, debs, signer, epoch, url }: AptOptions): void {
  mkdirSync(join(folder, pool), { recursive: true });
  for (const deb of debs) copyFileSync(deb, join(folder, pool, basename(deb)));
  rmSync(join(folder, 'dists'), { recursive: true, force: true });
  const stanzas = globSync('*.deb', { cwd: join(folder, pool) })
    .sort()
    .map(name => packageStanza(folder, `${pool}/${name}`));
  for (const suite of suites) {
    const dist = join(folder, 'dists', suite);
    const indexes = architectures.flatMap(({ deb }) => {
      const text = stanzas
        .filter(stanza => stanza.architecture === deb)
        .map(stanza => stanza.text)
        .join('\n');
      const path = `${component}/binary-${deb}/Packages`;
      return [[path, Buffer.from(text)] as const, [`${path}.gz`, gzipSync(text, { level: 9 })] as const];
    });
    for (const [path, bytes] of indexes) {
      mkdirSync(dirname(join(dist, path)), { recursive: true });
      writeFileSync(join(dist, path), bytes);
    }
    const release = join(dist, 'Release');
    writeFileSync(release, releaseText(suite, indexes, epoch));
    signer.signText(release, join(dist, 'InRelease'));
    signer.signDetached(release, join(dist, 'Release.gpg'));
  }
  writeFileSync(join(folder, 'postern.asc'), signer.publicKey);
  writeFileSync(join(folder, 'postern.sources'), sourcesText(url, signer.publicKey));
}

/** What apt reads in /etc/apt/sources.list.d, the key inside. */
function sourcesText(url: string, publicKey: string): string {
  const key = publicKey
    .trimEnd()
    .split('\n')
    .map(line => (line.trim() === '' ? ' .' : ` ${line}`));
  return `Types: deb\nURIs: ${url}\nSuites: any\nComponents: ${component}\nSigned-By:\n${key.join('\n')}\n`;
}

function packageStanza(folder: string, path: string): { readonly architecture: string; readonly text: string } {
  const control = execFileSync('dpkg-deb', ['--field', join(folder, path)], { encoding: 'utf8' }).trimEnd();
  const bytes = readFileSync(join(folder, path));
  // The description, whose lines are indented, is the last field.
  const [fields = '', description = ''] = control.split(/\n(?=Description:)/);
  const added = [`Filename: ${path}`, `Size: ${statSync(join(folder, path)).size}`, `SHA256: ${hash('sha256', bytes)}`];
  const text = [fields, ...added, description, ''].join('\n');
  return { architecture: /^Architecture: (\S+)$/m.exec(fields)?.[1] ?? '', text };
}

function releaseText(suite: string, indexes: readonly (readonly [string, Buffer])[], epoch: number): string {
  const lines = indexes.map(([path, bytes]) => ` ${hash('sha256', bytes)} ${bytes.length} ${path}`);
  return `Origin: Postern
Label: Postern
Suite: ${suite}
Codename: ${suite}
Date: ${new Date(epoch * 1000).toUTCString().replace('GMT', 'UTC')}
Architectures: ${architectures.map(({ deb }) => deb).join(' ')}
Components: ${component}
Description: Postern, a tunnel: connector and edge
SHA256:
${lines.join('\n')}
`;
}

function hash(algorithm: string, bytes: Buffer): string {
  return createHash(algorithm).update(bytes).digest('hex');
}
