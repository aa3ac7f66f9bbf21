// Native parts of the program (Node addons): which folders of them fit this platform, and how one is loaded out of the single
// binary, whose parts are no files. Source: Node's documentation of single executable applications; open(2), O_TMPFILE.

import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The single binary's parts; the API is there from Node 20 on, and says no in any other program. */
const sea = process.getBuiltinModule('node:sea');

/** Whether this is the single binary: it has no files beside it. */
export const isSingleBinary = sea.isSea();

const platform = `${process.platform}-${process.arch}`;

/** Names of the folders with parts for this platform, best first: `linux-x64-gnu`. Which C library it has is tried. */
export const nativeFolders: readonly string[] =
  process.platform === 'linux' ? [`${platform}-gnu`, `${platform}-musl`] : [platform];

/** Loads an addon from a file. Throws what the system's loader says. */
export function loadAddon(path: string): unknown {
  return createRequire(import.meta.url)(path);
}

/** Loads an addon out of the single binary; undefined when there is none of that name. Throws what the last try said. */
export function embeddedAddon(fileName: string): unknown {
  if (!isSingleBinary || !sea.getAssetKeys().includes(fileName)) return undefined;
  // A view of the mapped program: only read.
  const bytes = new Uint8Array(sea.getRawAsset(fileName));
  return loadBytes(fileName, bytes);
}

/** A module inside of the single binary, as `new Worker` takes it. It can import Node's own modules only. */
export function embeddedModule(fileName: string): URL {
  return new URL(`data:text/javascript;base64,${Buffer.from(sea.getRawAsset(fileName)).toString('base64')}`);
}

/** Loads an addon whose bytes are at hand. Leaves no file behind, except on Windows, where a loaded one cannot go. */
export function loadBytes(fileName: string, bytes: Uint8Array): unknown {
  if (process.platform === 'linux') {
    for (const folder of [tmpdir(), '/dev/shm']) {
      const loaded = loadUnnamed(folder, bytes);
      if (loaded !== undefined) return loaded;
    }
  }
  return process.platform === 'win32' ? loadKept(fileName, bytes) : loadPassing(fileName, bytes);
}

/** O_TMPFILE | O_DIRECTORY of Linux, the same on x64 and arm64 but for O_DIRECTORY, which Node knows. */
const unnamedFile = 0o20000000 | constants.O_DIRECTORY;

/**
 * Through a file without a name, which nobody else can reach. The descriptor stays open: if its number were used again, the
 * loader would take the same path for the library it has loaded already.
 */
function loadUnnamed(folder: string, bytes: Uint8Array): unknown {
  let fd: number | undefined;
  try {
    fd = openSync(folder, unnamedFile | constants.O_RDWR, 0o600);
    writeFileSync(fd, bytes);
    return openLibrary(`/proc/self/fd/${fd}`);
  } catch {
    // No such folder, a file system without unnamed files, one that runs no programs, or no /proc: the next way may do.
    if (fd !== undefined) closeSync(fd);
    return undefined;
  }
}

/** Through a file of this process alone, gone as soon as it is loaded. */
function loadPassing(fileName: string, bytes: Uint8Array): unknown {
  const folder = mkdtempSync(join(tmpdir(), 'postern-'));
  try {
    const path = join(folder, fileName);
    writeFileSync(path, bytes, { mode: 0o600, flag: 'wx' });
    return openLibrary(path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Through a file that later starts use again, if its bytes are still these. Windows keeps temporary files by user. */
function loadKept(fileName: string, bytes: Uint8Array): unknown {
  const digest = createHash('sha256').update(bytes).digest('hex');
  const folder = join(tmpdir(), `postern-${digest.slice(0, 16)}`);
  const path = join(folder, fileName);
  if (!existsSync(path) || !readFileSync(path).equals(bytes)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(path, bytes);
  }
  return openLibrary(path);
}

function openLibrary(path: string): unknown {
  const module: { exports: unknown } = { exports: {} };
  process.dlopen(module, path);
  return module.exports;
}
