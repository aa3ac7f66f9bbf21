// THIRD-PARTY.txt: the licences of everything that a build holds and that is not Postern's own, from node_modules. The binaries of
// koffi's platform packages are under the licence of koffi, which is always bundled.

import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Metafile } from 'esbuild';
import { root } from './root.ts';

/** Something in a build: its name with version, its licence's name and the texts that must go with it. */
interface Notice {
  readonly title: string;
  readonly licence: string;
  readonly texts: readonly string[];
}

export interface ThirdPartyInputs {
  readonly metafile: Metafile;
  /** Folder of the package that Node's program came in, for a binary. */
  readonly nodeFolder?: string;
}

/** The text of the file. Throws where a package says nothing of its licence. */
export function thirdPartyText(inputs: ThirdPartyInputs): string {
  const bundled = Object.keys(inputs.metafile.inputs).map(packageFolder);
  const folders = [...new Set(bundled)].filter(folder => folder !== undefined).sort();
  const notices = folders.map(folder => noticeOf(join(root, folder)));
  if (inputs.nodeFolder !== undefined) notices.push(noticeOf(inputs.nodeFolder));
  const engine = readFileSync(join(root, 'internal/quic/prebuilt/linux-x64-gnu/third-party.txt'), 'utf8');
  const parts = notices.map(({ title, licence, texts }) => [`${title} (${licence})`, ...texts].join('\n\n'));
  return `${['Postern holds the following.', ...parts, `The QUIC engine. ${engine.trim()}`].join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}

/** The folder of the package that a bundled file belongs to: `node_modules/@peculiar/x509/build/x509.js` → its first three. */
function packageFolder(path: string): string | undefined {
  // The last one, where a package has packages of its own inside.
  return /^(.*\bnode_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1];
}

function noticeOf(folder: string): Notice {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    readonly name: string;
    readonly version: string;
    readonly license?: string;
    readonly repository?: unknown;
  };
  const files = globSync('{LICEN[CS]E,licen[cs]e,NOTICE,COPYING,CopyrightNotice}*', { cwd: folder }).sort();
  if (manifest.license === undefined && files.length === 0)
    throw new Error(`${manifest.name} ${manifest.version} says nothing of its licence`);
  return {
    title: `${manifest.name} ${manifest.version}`,
    licence: manifest.license ?? 'see below',
    texts: files.map(file => readFileSync(join(folder, file), 'utf8').trim()),
  };
}
