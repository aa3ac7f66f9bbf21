// What a Linux package installs, and a folder that holds it. Source: hier(7).

import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, lutimesSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { bashCompletion } from '../../cmd/completion/bash.ts';
import { fishCompletion } from '../../cmd/completion/fish.ts';
import { loadCommandTree } from '../../cmd/completion/load-tree.ts';
import { zshCompletion } from '../../cmd/completion/zsh.ts';
import { manifest } from '../build/package-tree.ts';
import { root } from '../build/root.ts';
import { manPages } from './man-pages.ts';
import { packagedUnits } from './units.ts';

export interface PackageFile {
  /** Absolute, as installed. */
  readonly path: string;
  readonly content: string | Buffer | { readonly file: string };
  /** Default 0644. */
  readonly mode?: number;
}

/** A kind of package: where it differs in what goes where. */
export interface PackageKind {
  readonly zshFolder: string;
  readonly licencePath: string;
}

/** The time that everything in a package bears: when the commit was made, in seconds. SOURCE_DATE_EPOCH beats it. */
export function sourceDate(): number {
  const given = process.env.SOURCE_DATE_EPOCH;
  const text = given ?? execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' });
  const seconds = Number(text.trim());
  if (Number.isSafeInteger(seconds) && seconds > 0) return seconds;
  throw new RangeError(`SOURCE_DATE_EPOCH must be a number of seconds, not ${JSON.stringify(text.trim())}`);
}

/** For who watches the program: below packaging/ here, among the examples there. */
const observability = ['grafana/connector.json', 'grafana/edge.json', 'prometheus/alerts.yml'];

/** Everything around the program; made once for all packages. `binary` has its THIRD-PARTY.txt beside it. */
export async function packageFiles(binary: string, kind: PackageKind, epoch: number): Promise<readonly PackageFile[]> {
  const tree = await loadCommandTree();
  const date = new Date(epoch * 1000).toISOString().slice(0, 10);
  const doc = '/usr/share/doc/postern';
  const pages = Object.entries(manPages(tree, { version: manifest.version, date }));
  return [
    { path: '/usr/bin/postern', content: { file: binary }, mode: 0o755 },
    ...Object.entries(packagedUnits).map(([name, content]) => ({ path: `/usr/lib/systemd/system/${name}`, content })),
    ...pages.map(([name, text]) => ({ path: `/usr/share/man/man1/${name}.gz`, content: zipped(text) })),
    { path: '/usr/share/bash-completion/completions/postern', content: bashCompletion(tree) },
    { path: `${kind.zshFolder}/_postern`, content: zshCompletion(tree) },
    { path: '/usr/share/fish/vendor_completions.d/postern.fish', content: fishCompletion(tree) },
    { path: `${doc}/examples/config.yml`, content: { file: join(root, 'packaging/linux/config.example.yml') } },
    ...observability.map(file => ({
      path: `${doc}/examples/${file}`,
      content: { file: join(root, 'packaging', file) },
    })),
    { path: `${doc}/THIRD-PARTY.txt.gz`, content: zipped(readFileSync(`${binary}.THIRD-PARTY.txt`)) },
    { path: `${doc}/changelog.gz`, content: zipped(readFileSync(join(root, 'CHANGES.md'))) },
    { path: kind.licencePath, content: licenceText() },
  ];
}

/** Directories that belong to the package though nothing is in them. */
export const emptyDirectories: readonly string[] = ['/etc/postern'];

/** Writes the files below `folder`, everything with the same time and with modes that no umask changes. */
export function stageFiles(folder: string, files: readonly PackageFile[], epoch: number): void {
  for (const path of emptyDirectories) mkdirSync(join(folder, path), { recursive: true });
  for (const { path, content, mode } of files) {
    const target = join(folder, path);
    mkdirSync(dirname(target), { recursive: true });
    if (typeof content === 'string' || Buffer.isBuffer(content)) writeFileSync(target, content);
    else copyFileSync(content.file, target);
    chmodSync(target, mode ?? 0o644);
  }
  for (const entry of ['.', ...readdirSync(folder, { recursive: true, withFileTypes: true })]) {
    const path = typeof entry === 'string' ? folder : join(entry.parentPath, entry.name);
    if (typeof entry === 'string' || entry.isDirectory()) chmodSync(path, 0o755);
    lutimesSync(path, epoch, epoch);
  }
}

function zipped(content: string | Buffer): Buffer {
  return gzipSync(content, { level: 9 });
}

/** In Debian's form, which the other distributions read as well. */
function licenceText(): string {
  const paragraphs = readFileSync(join(root, 'LICENSE'), 'utf8').trimEnd().split('\n');
  return `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: postern
Comment: The licences of what the program holds of others are in THIRD-PARTY.txt.gz.

Files: *
Copyright: the contributors of Postern
License: Apache-2.0
${paragraphs.map(line => (line.trim() === '' ? ' .' : ` ${line}`)).join('\n')}
`;
}
