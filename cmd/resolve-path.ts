// Paths as people write them in flags, the environment and config files: relative ones, and those below `~`, which no shell
// expands there.

import { join, resolve } from 'node:path';
import type { CommandContext } from './context.ts';

/** The absolute path; `~` and `~/x` (on Windows `~\x` too) are below the home directory. */
export function resolvePath(path: string, { cwd, homeDir }: Pick<CommandContext, 'cwd' | 'homeDir'>): string {
  const below = path === '~' ? '' : path.startsWith('~/') || path.startsWith('~\\') ? path.slice(2) : undefined;
  return below === undefined ? resolve(cwd, path) : join(homeDir, below);
}
