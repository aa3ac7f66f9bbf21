// A program's file in place of another, in the same folder: written beside it, renamed over it. The earlier one stays as
// `NAME.old`, and comes back when the new one does not work. At every moment a whole program stands under the name. Source:
// rename(2), link(2).

import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join, parse } from 'node:path';
import { foreignCode, isSystemError, PosternError } from '../errors/error.ts';
import type { ReleasedProgram } from './release-list.ts';

/** What stands beside a program. */
export interface ProgramFiles {
  readonly path: string;
  /** The next one while it is written and tried. */
  readonly next: string;
  /** The earlier one. */
  readonly old: string;
  /** Holds the process id of an update at work. */
  readonly lock: string;
  /** Which lists of releases were seen. */
  readonly seen: string;
}

/** `path` is absolute. */
export function programFiles(path: string): ProgramFiles {
  const { dir, name, ext } = parse(path);
  // Windows runs what is called .exe; elsewhere a dot is part of a name.
  const [stem, suffix] = ext === '.exe' ? [name, ext] : [name + ext, ''];
  const hidden = (what: string): string => join(dir, `.${stem}.${what}`);
  return {
    path,
    next: join(dir, `${stem}.new${suffix}`),
    old: join(dir, `${stem}.old${suffix}`),
    lock: hidden('update.lock'),
    seen: hidden('update.json'),
  };
}

/** Throws 'update.failed' while another process updates the same program. */
export function lockProgram({ lock, next }: ProgramFiles): Disposable {
  named('write', lock, () => {
    if (!tryLock(lock)) {
      const holder = Number(readFileSync(lock, 'utf8'));
      if (isAlive(holder))
        throw new PosternError('update.failed', `Another update is at work, process ${holder} (${lock})`);
      // Killed in the middle.
      rmSync(lock, { force: true });
      if (!tryLock(lock)) throw new PosternError('update.failed', `Another update has just begun (${lock})`);
    }
    rmSync(next, { force: true });
  });
  return {
    [Symbol.dispose]: () => {
      rmSync(next, { force: true });
      rmSync(lock, { force: true });
    },
  };
}

/** Writes what arrives to `files.next`, of the kind that `files.path` is. Throws 'update.refused' when it is not what was released. */
export async function writeNext(
  files: ProgramFiles,
  released: ReleasedProgram,
  body: AsyncIterable<Buffer>,
): Promise<void> {
  const { mode, uid, gid } = statSync(files.path);
  const hash = createHash('sha256');
  const file = named('write', files.next, () => openSync(files.next, 'wx', 0o700));
  let bytes = 0;
  try {
    for await (const chunk of body) {
      bytes += chunk.byteLength;
      if (bytes > released.bytes)
        throw new PosternError(
          'update.refused',
          `${released.name} is longer than the ${released.bytes} bytes released`,
        );
      hash.update(chunk);
      named('write', files.next, () => writeAll(file, chunk));
    }
    named('write', files.next, () => fsyncSync(file));
  } finally {
    closeSync(file);
  }
  if (bytes < released.bytes) {
    throw new PosternError(
      'update.refused',
      `${released.name} broke off after ${bytes} of ${released.bytes} bytes; try again`,
    );
  }
  const digest = hash.digest('hex');
  if (digest !== released.sha256) {
    throw new PosternError(
      'update.refused',
      `${released.name} is not what was released: its SHA-256 is ${digest}, not ${released.sha256}`,
    );
  }
  named('give its mode to', files.next, () => {
    if (process.getuid?.() === 0) chownSync(files.next, uid, gid);
    chmodSync(files.next, mode & 0o777);
  });
}

/** Puts the next one in place; the earlier one is at `files.old` then. The lock is held. */
export function putNextInPlace({ path, next, old, lock }: ProgramFiles): void {
  named('replace', path, () => {
    // Two that find the lock of a dead process at the same moment both take it. What the last one wrote is `next`.
    if (readFileSync(lock, 'utf8') !== `${process.pid}`)
      throw new PosternError('update.failed', `Another update has begun meanwhile (${lock})`);
    rmSync(old, { force: true });
    if (process.platform === 'win32') {
      // A running program cannot be written over there, but renamed.
      renameSync(path, old);
      try {
        renameSync(next, path);
      } catch (error) {
        renameSync(old, path);
        throw error;
      }
      return;
    }
    linkSync(path, old);
    renameSync(next, path);
    syncFolder(path);
  });
}

/** Undoes `putNextInPlace`. */
export function putOldBack({ path, old }: ProgramFiles): void {
  named('put back', path, () => {
    renameSync(old, path);
    syncFolder(path);
  });
}

/** The system's errors as 'update.failed', with the path and, where a right is missing, what to do. */
function named<T>(verb: string, path: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    if (!isSystemError(cause)) throw cause;
    const needsRight = ['EACCES', 'EPERM', 'EROFS'].includes(foreignCode(cause) ?? '');
    const remedy = needsRight ? '. Update as the user who may write there: sudo postern update' : '';
    throw new PosternError('update.failed', `Cannot ${verb} ${path}${remedy}`, { cause });
  }
}

function tryLock(lock: string): boolean {
  try {
    writeFileSync(lock, `${process.pid}`, { flag: 'wx', mode: 0o644 });
    return true;
  } catch (error) {
    if (foreignCode(error) === 'EEXIST') return false;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  // An empty file is of somebody who was killed, or of a full disk; no process has the number 0.
  if (!Number.isSafeInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return foreignCode(error) === 'EPERM';
  }
}

function writeAll(file: number, chunk: Uint8Array): void {
  for (let at = 0; at < chunk.byteLength; ) at += writeSync(file, chunk, at);
}

/** New names survive a power cut only when their folder is synced too; Windows cannot open folders. */
function syncFolder(path: string): void {
  if (process.platform === 'win32') return;
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
