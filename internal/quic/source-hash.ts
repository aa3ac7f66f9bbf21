// The hash of everything the native QUIC engine is built from. A binary has it noted beside it, so that set-up knows
// whether to build and a test whether the committed binary belongs to the sources.

import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Name of the file beside a binary that holds the hash it was built from. */
export const sourceHashFile = 'source.sha256';

/** Hex SHA-256 over names and contents of the crate's sources; line ends are made equal so that checkouts agree. */
export function nativeSourceHash(crate: string): string {
  const hash = createHash('sha256');
  const patterns = ['Cargo.toml', 'Cargo.lock', 'build.rs', '.cargo/config.toml', 'src/**/*.rs'];
  const files = globSync(patterns, { cwd: crate }).map(file => file.replaceAll('\\', '/'));
  for (const file of files.sort()) {
    const text = readFileSync(join(crate, file), 'utf8').replaceAll('\r\n', '\n');
    hash.update(`${file}\0${text}\0`);
  }
  return hash.digest('hex');
}
