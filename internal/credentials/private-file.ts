// Files with secrets: made whole or not at all, never readable by others, never written over. The text goes to a new file
// beside the target, is synced, and gets its name by link(2), which fails when the name is taken: of many processes that
// start at once exactly one wins, and a reader never sees half a file.

import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { foreignCode, isSystemError, PosternError } from '../errors/error.ts';
import { makeDirectory } from '../net/file/make-directory.ts';

/** Mode of files that hold secrets; the owner may read and write. */
const privateMode = 0o600;
/** Largest secret-bearing file read; credentials, keys and tokens are a few KiB. */
export const maxFileBytes = 1 << 20;
/** What writes into a pipe may ask somebody for a password first. */
const pipeWaitMs = 120_000;
/** How often a pipe is looked at while it is empty. */
const pipeLookMs = 20;

/**
 * Makes a directory (and its parents) that only its owner may enter. An existing one is left as it is. Throws 'file.failed',
 * as everything here that writes.
 */
export function makePrivateDirectory(path: string): void {
  named('make the directory', path, () => makeDirectory(path, 0o700));
}

/** Creates `path` with `text`, mode 0600 unless given. Returns false when a file of that name exists; that file is untouched. */
export function createPrivateFile(path: string, text: string, mode: number = privateMode): boolean {
  return named('write', path, () => {
    const temporary = writeTemporary(path, text, mode);
    try {
      linkSync(temporary, path);
    } catch (error) {
      if (foreignCode(error) === 'EEXIST') return false;
      throw error;
    } finally {
      rmSync(temporary, { force: true });
    }
    syncDirectory(dirname(path));
    return true;
  });
}

/** Puts `text` in place of whatever `path` holds, atomically, mode 0600 unless given. For files that are ours alone. */
export function replacePrivateFile(path: string, text: string, mode: number = privateMode): void {
  named('write', path, () => {
    const temporary = writeTemporary(path, text, mode);
    try {
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
    syncDirectory(dirname(path));
  });
}

/**
 * The text of `path` (a file or a pipe), or undefined when there is nothing of that name. Never reads more than 1 MiB. Throws
 * 'credentials.invalid' for more, and for a pipe that nobody has written to and closed within `waitMs`.
 */
export function readPrivateFile(path: string, waitMs: number = pipeWaitMs): string | undefined {
  let file: number;
  try {
    // Opening and reading a pipe would otherwise wait for its writer for ever. Windows has no such flag.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    if (foreignCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const bytes = Buffer.allocUnsafe(maxFileBytes + 1);
    const deadline = fstatSync(file).isFIFO() ? performance.now() + waitMs : undefined;
    let length = 0;
    while (length < bytes.byteLength) {
      const got = readAvailable(file, bytes.subarray(length));
      if (got !== undefined) length += got;
      // A pipe without a writer reads as ended: it may not have been opened yet.
      if (got === 0 && (deadline === undefined || length > 0)) break;
      if (got !== undefined && got > 0) continue;
      if (deadline !== undefined && performance.now() >= deadline)
        throw new PosternError('credentials.invalid', `Nothing was written to the pipe ${path} in ${waitMs / 1_000} s`);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pipeLookMs);
    }
    if (length > maxFileBytes) {
      throw new PosternError('credentials.invalid', `The file ${path} is larger than ${maxFileBytes} bytes`);
    }
    return bytes.toString('utf8', 0, length);
  } finally {
    closeSync(file);
  }
}

/** Bytes read; 0 at the end, undefined when there are none yet. */
function readAvailable(file: number, into: Uint8Array): number | undefined {
  try {
    return readSync(file, into, 0, into.byteLength, null);
  } catch (error) {
    if (foreignCode(error) === 'EAGAIN') return undefined;
    throw error;
  }
}

/** The text of `path`; if there is none, what `make` returns is written first. Safe when several processes do it at once. */
export async function readOrCreatePrivateFile(path: string, make: () => string | Promise<string>): Promise<string> {
  const present = named('read', path, () => readPrivateFile(path));
  if (present !== undefined) return present;
  const made = await make();
  if (createPrivateFile(path, made)) return made;
  const winner = readPrivateFile(path);
  if (winner === undefined) throw new PosternError('store.failed', `The file ${path} vanished while it was being read`);
  return winner;
}

/** What `action` returns; the system's errors become 'file.failed' with the path. */
function named<T>(verb: string, path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new PosternError('file.failed', `Cannot ${verb} ${path}`, { cause: error });
  }
}

function writeTemporary(path: string, text: string, mode: number): string {
  const temporary = `${path}.${randomBytes(8).toString('hex')}.tmp`;
  const file = openSync(temporary, 'wx', mode);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
  return temporary;
}

/** A new name survives a power cut only when its directory is synced too; Windows cannot open directories. */
function syncDirectory(path: string): void {
  if (process.platform === 'win32') return;
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
