// `~` at the start of a path, as people write it in config files where no shell expands it.

import { join } from 'node:path';

/** `~/x` → `<homeDir>/x`; other paths as they are. */
export function expandHome(path: string, homeDir: string): string {
  if (path === '~') return homeDir;
  return path.startsWith('~/') ? join(homeDir, path.slice(2)) : path;
}
