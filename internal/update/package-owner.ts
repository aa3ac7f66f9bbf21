// Who put the program's file where it is: a package manager, whose own record would be wrong after an update by somebody else.
// Source: dpkg-query(1), rpm(8); the folders of npm, Homebrew, Nix and winget; Kubernetes' variables.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface PackageOwner {
  readonly name: 'dpkg' | 'rpm' | 'npm' | 'Homebrew' | 'Nix' | 'winget' | 'a container image';
  /** What updates it: a command, or words. */
  readonly remedy: string;
}

export interface InstalledProgram {
  /** Absolute, links resolved: the single binary, or the script that Node runs. */
  readonly path: string;
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Longest that the manager's own tool may take; the database of rpm is the slow one. */
const askMs = 30_000;

/** Undefined when nobody owns it: it was put there by hand. */
export async function findPackageOwner(program: InstalledProgram): Promise<PackageOwner | undefined> {
  return byPath(program) ?? (await byRecord(program)) ?? byContainer(program);
}

function byPath({ path, platform }: InstalledProgram): PackageOwner | undefined {
  const unix = platform === 'win32' ? path.replaceAll('\\', '/') : path;
  if (unix.includes('/node_modules/')) return { name: 'npm', remedy: 'npm install --global postern@latest' };
  if (unix.includes('/Cellar/')) return { name: 'Homebrew', remedy: 'brew upgrade postern' };
  if (unix.startsWith('/nix/store/'))
    return { name: 'Nix', remedy: 'nix profile upgrade postern, or a rebuild of the system' };
  if (/\/winget\/packages\//i.test(unix)) return { name: 'winget', remedy: 'winget upgrade Postern.Postern' };
  return undefined;
}

/** Asks the managers of this machine's files. */
async function byRecord({ path, platform }: InstalledProgram): Promise<PackageOwner | undefined> {
  if (platform !== 'linux') return undefined;
  if (await succeeds('/usr/bin/dpkg-query', ['--search', path]))
    return { name: 'dpkg', remedy: 'sudo apt-get update && sudo apt-get install --only-upgrade postern' };
  if (await succeeds('/usr/bin/rpm', ['--query', '--file', path]))
    return { name: 'rpm', remedy: 'sudo dnf upgrade postern' };
  return undefined;
}

/** Our own image says so; in Kubernetes every file is an image's. */
function byContainer({ env }: InstalledProgram): PackageOwner | undefined {
  const isImage = env.POSTERN_PACKAGE === 'container' || (env.KUBERNETES_SERVICE_HOST ?? '') !== '';
  return isImage ? { name: 'a container image', remedy: 'pull a newer image and start a container of it' } : undefined;
}

/** A manager that is not there owns nothing. Throws when it is there and says nothing in time. */
async function succeeds(file: string, args: readonly string[]): Promise<boolean> {
  if (!existsSync(file)) return false;
  try {
    await run(file, args, { timeout: askMs, env: { LC_ALL: 'C', PATH: '/usr/bin:/bin' } });
    return true;
  } catch (error) {
    if (error instanceof Error && 'killed' in error && error.killed === true) throw error;
    return false;
  }
}
