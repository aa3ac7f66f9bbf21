// Machines with something wrong, for real programs on Linux: a small disk, a file system that is read-only, no resolver, few
// descriptors, a process that is the first one. Each is words that run a program so; nothing outside of it is changed.

import { spawnSync } from 'node:child_process';
import { appendFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { foreignCode } from '../../internal/errors/error.ts';

/** Why such machines cannot be made here; undefined = they can. */
export function lackingForFaults(): string | undefined {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root, for namespaces';
  const tried = spawnSync('unshare', ['--mount', '--pid', '--fork', 'true']);
  return tried.status === 0 ? undefined : `namespaces are not to be had here: ${String(tried.stderr)}`;
}

/** Runs a program after shell commands in a mount namespace of its own. */
export function afterMounts(...commands: readonly string[]): readonly string[] {
  return ['unshare', '--mount', 'sh', '-ec', [...commands, 'exec "$@"'].join('\n'), 'sh'];
}

/** A disk of `kibibytes` at `path`, which the program alone sees. */
export function smallDisk(path: string, kibibytes: number): readonly string[] {
  return afterMounts(`mkdir -p ${path}`, `mount -t tmpfs -o size=${kibibytes}k,mode=700 tmpfs ${path}`);
}

/** A disk that the program `pid` sees, from outside. */
export class SeenDisk {
  readonly #filler: string;

  constructor(pid: number, path: string) {
    this.#filler = join(`/proc/${pid}/root`, path, 'filler');
  }

  /** Until nothing more fits. */
  fill(): void {
    for (let bytes = 1024 * 1024; bytes >= 1; bytes = Math.floor(bytes / 4)) {
      try {
        for (;;) appendFileSync(this.#filler, Buffer.alloc(bytes));
      } catch (error) {
        if (foreignCode(error) !== 'ENOSPC') throw error;
      }
    }
  }

  free(): void {
    rmSync(this.#filler);
  }
}

/** Of open descriptors at most so many. */
export function fewDescriptors(count: number): readonly string[] {
  return ['prlimit', `--nofile=${count}:${count}`];
}

/** The program is the first process of a system of its own, as in a container. */
export const asFirstProcess: readonly string[] = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'];

/** No name can be resolved, not even `localhost`. */
export const withoutResolver: readonly string[] = afterMounts(
  'printf "" > /run/postern-empty-$$; mount --bind /run/postern-empty-$$ /etc/hosts; rm -f /run/postern-empty-$$',
  'printf "nameserver 127.0.0.254\\noptions timeout:1 attempts:1\\n" > /run/postern-dns-$$; mount --bind /run/postern-dns-$$ "$(readlink -f /etc/resolv.conf)"; rm -f /run/postern-dns-$$',
);
