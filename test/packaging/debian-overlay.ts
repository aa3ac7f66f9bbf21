// This machine's own Debian to try packages in: its files with an empty layer above, in which everything that a package does
// stays, and which is gone at the end. The network is the machine's.

import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Outcome {
  /** Exit code; -1 for a signal. */
  readonly code: number;
  /** Both streams. */
  readonly output: string;
}

/** What is mounted above; `$0` is an empty folder, `$1` a folder that is seen as /srv, `$2` what is run inside. */
const mounts = `
mount -t tmpfs -o size=1g layer "$0"
mkdir "$0/upper" "$0/work" "$0/root"
mount -t overlay -o "lowerdir=/,upperdir=$0/upper,workdir=$0/work" overlay "$0/root"
mount -t proc proc "$0/root/proc"
mount --bind /dev "$0/root/dev"
mount -t tmpfs run "$0/root/run"
mount -t tmpfs tmp "$0/root/tmp"
mount --bind "$1" "$0/root/srv"
mount -o remount,bind,ro "$0/root/srv"
cp --dereference /etc/resolv.conf /etc/hosts "$0/root/etc/" 2>/dev/null || true
chroot "$0/root" sh -c "$2" 2>&1
`;

/** Why it cannot be had here, or undefined. */
export function overlayLacks(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'an overlay of this machine takes root on Linux';
  if (spawnSync('sh', ['-c', '. /etc/os-release && [ "$ID" = debian ]']).status !== 0)
    return 'this machine is no Debian';
  return undefined;
}

/** Runs a shell script inside, as root, ended by its first failure; `srv` is a folder that it sees as /srv. */
export async function inDebian(srv: string, script: string): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-debian-'));
  const words = [
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    '--',
    'sh',
    '-ec',
    mounts,
    folder,
    srv,
    `set -e\n${script}`,
  ];
  try {
    const { stdout } = await run('unshare', words, {
      env: { PATH: process.env.PATH ?? '', DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8', HOME: '/root' },
      timeout: 120_000,
      maxBuffer: 16 << 20,
    });
    return { code: 0, output: stdout };
  } catch (error) {
    const { code, stdout = '', stderr = '' } = error as { code?: unknown; stdout?: string; stderr?: string };
    return { code: typeof code === 'number' ? code : -1, output: `${stdout}${stderr}` };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
