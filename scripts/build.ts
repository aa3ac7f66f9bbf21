// `npm run build`: the program bundled from its sources, in dist/postern, with native parts and licences beside it.

import { join } from 'node:path';
import { buildTree } from './build/package-tree.ts';
import { distFolder } from './build/root.ts';
import { hostTarget } from './build/targets.ts';

const folder = join(distFolder, 'postern');
await buildTree(folder, hostTarget === undefined ? [] : [hostTarget]);
console.log(`Built ${folder}`);
