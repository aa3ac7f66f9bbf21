// Where a build reads and writes.

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** This checkout. */
export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Everything that is built, unless a build is told another folder. */
export const distFolder = join(root, 'dist');
