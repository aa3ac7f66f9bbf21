// The programs that packages are made with.

import { haveCommand } from '../../test/support/debian-package.ts';

const tools = {
  'dpkg-deb': 'dpkg',
  rpmbuild: 'rpm',
  rpmsign: 'rpm',
  createrepo_c: 'createrepo-c',
  gpg: 'gpg',
} as const;

/** Installs what is missing where it may; throws with the names of what still is. */
export function requirePackagingTools(): void {
  const missing = Object.entries(tools).filter(([command, name]) => !haveCommand(command, [name]));
  if (missing.length === 0) return;
  const named = missing.map(([command, name]) => `${command} (Debian's package ${name})`);
  throw new Error(`Packages cannot be made here without ${named.join(', ')}`);
}
