// Programs that a test wants from Debian packages, installed quietly when they are absent and that is possible.

import { spawnSync } from 'node:child_process';

/** Who installs packages holds a lock of this file: two programs cannot install at the same time. */
export const installLock = '/tmp/postern-test-install.lock';

/** Whether `command` can be run; tries to install `packages` if not. */
export function haveCommand(command: string, packages: readonly string[]): boolean {
  const exists = (): boolean => spawnSync('sh', ['-c', `command -v ${command}`], { stdio: 'ignore' }).status === 0;
  if (exists()) return true;
  if (process.getuid?.() !== 0) return false;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = (): void => {
    const words = ['apt-get', 'install', '-qq', '--no-install-recommends', ...packages];
    spawnSync('flock', [installLock, ...words], { stdio: 'ignore', env });
  };
  install();
  if (exists()) return true;
  spawnSync('flock', [installLock, 'apt-get', 'update', '-qq'], { stdio: 'ignore', env });
  install();
  return exists();
}
