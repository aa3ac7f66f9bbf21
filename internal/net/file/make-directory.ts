// Makes a directory and its missing parents, one call each. Node's own `recursive` never returns where the parent is there
// and cannot hold a directory, as below /proc or behind a link that leads nowhere.

import { mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { foreignCode } from '../../errors/error.ts';

/** An existing directory is left as it is. `mode` is that of new ones. Throws the system's error. */
export function makeDirectory(path: string, mode: number): void {
  const missing: string[] = [];
  for (let at = resolve(path); !makeOne(at, mode); at = dirname(at)) missing.push(at);
  for (const at of missing.reverse()) {
    // The parent is there now: when this one cannot be made in it, that is final.
    if (!makeOne(at, mode)) mkdirSync(at, mode);
  }
}

/** False when the parent is missing. */
function makeOne(path: string, mode: number): boolean {
  try {
    mkdirSync(path, mode);
    return true;
  } catch (error) {
    if (foreignCode(error) === 'ENOENT' && dirname(path) !== path) return false;
    // Which error an existing directory gives differs by system, and for the root.
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return true;
    throw error;
  }
}
