// `npm run build`: the program bundled from its sources, in dist/postern, with native parts and licences beside it.
//   npm run build -- --pack                  … and as an npm package for all platforms, dist/postern-<version>.tgz
//   npm run build -- --binary                … and as one file for this machine, dist/postern-<version>-<target>
//   npm run build -- --binary --target T     the same for other platforms; repeatable

import { join } from 'node:path';
import { buildBinary } from './build/binary.ts';
import { parseOptions } from './build/options.ts';
import { buildTree, manifest, packTree } from './build/package-tree.ts';
import { distFolder } from './build/root.ts';
import { hostTarget, targetNamed, targets } from './build/targets.ts';

const { values } = parseOptions(import.meta.filename, {
  options: {
    pack: { type: 'boolean', default: false },
    binary: { type: 'boolean', default: false },
    target: { type: 'string', multiple: true },
  },
});
const host = hostTarget === undefined ? [] : [hostTarget];
const wanted = values.target?.map(targetNamed) ?? host;

const tree = join(distFolder, 'postern');
await buildTree(tree, values.pack ? targets : host);
console.log(`Built ${tree}`);
if (values.pack) console.log(`Packed ${packTree(tree, distFolder)}`);
if (values.binary) {
  for (const target of wanted) {
    const suffix = target.name.startsWith('win32-') ? '.exe' : '';
    const path = join(distFolder, `postern-${manifest.version}-${target.name}${suffix}`);
    const { bytes, notes } = await buildBinary(target, path);
    console.log([`Built ${path}, ${(bytes / 1e6).toFixed(1)} MB`, ...notes].join('; '));
  }
}
