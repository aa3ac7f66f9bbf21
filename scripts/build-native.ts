// Builds the native QUIC engine with cargo when its sources are newer than its binary, by a hash of the sources.
//   npm run build:native              build internal/quic/native/postern-quic.node if needed
//   npm run build:native -- --force     build in any case
//   npm run build:native -- --prebuilt  … and make it the committed binary of this platform
//   npm run build:native -- --setup     build only where no binary, built or committed, belongs to the sources
// Needs cargo, a C compiler and either a reachable or a filled crates registry; says so when they are missing.

import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { nativeSourceHash, sourceHashFile } from '../internal/quic/source-hash.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const crate = join(root, 'internal/quic/native');
const binary = join(crate, 'postern-quic.node');
const library: Partial<Record<NodeJS.Platform, string>> = {
  linux: 'libpostern_quic.so',
  darwin: 'libpostern_quic.dylib',
  win32: 'postern_quic.dll',
};

/** What came of it: `current` nothing to do, `built`, or `failed` with the reason. */
type BuildResult = { readonly kind: 'current' | 'built' } | { readonly kind: 'failed'; readonly reason: string };

/** The hash that a binary was built from, as noted beside it. */
function builtHash(folder: string): string | undefined {
  const file = join(folder, sourceHashFile);
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}

/** Copies through a new name: a process that has the old file mapped keeps it. */
function place(from: string, to: string): void {
  copyFileSync(from, `${to}.new`);
  renameSync(`${to}.new`, to);
}

/**
 * The environment cargo runs in. Panic messages name source files: with these flags they do not name this machine's folders.
 * Runs with the same flags share what they compiled.
 */
export function cargoEnv(): NodeJS.ProcessEnv {
  const cargoHome = process.env.CARGO_HOME ?? join(homedir(), '.cargo');
  const RUSTFLAGS = `--remap-path-prefix=${cargoHome}=cargo --remap-path-prefix=${crate}=postern-quic`;
  return { ...process.env, RUSTFLAGS };
}

/** Runs cargo, with its progress on the terminal. */
function cargo(): Promise<string | undefined> {
  return new Promise(resolve => {
    const child = spawn('cargo', ['build', '--release', '--locked'], { cwd: crate, stdio: 'inherit', env: cargoEnv() });
    child.once('error', error => resolve(`cargo cannot be started: ${error.message}`));
    child.once('exit', code => resolve(code === 0 ? undefined : `cargo ended with code ${code}`));
  });
}

/** Builds if the sources ask for it. Never throws: without an engine the program uses HTTP/2. */
async function buildNative(force = false): Promise<BuildResult> {
  const hash = nativeSourceHash(crate);
  if (!force && existsSync(binary) && builtHash(crate) === hash) return { kind: 'current' };
  const file = library[process.platform];
  if (file === undefined) return { kind: 'failed', reason: `${process.platform} is not supported` };
  console.log('Building the QUIC engine (about a minute the first time)');
  const reason = await cargo();
  if (reason !== undefined) return { kind: 'failed', reason };
  place(join(crate, 'target/release', file), binary);
  writeFileSync(join(crate, sourceHashFile), `${hash}\n`);
  return { kind: 'built' };
}

/** The crates inside of the binary with their licences, a line each. */
function thirdParty(): string {
  const args = ['tree', '--locked', '--edges', 'normal', '--prefix', 'none', '--format', '{p}\t{l}\t{r}'];
  const { stdout, status, error } = spawnSync('cargo', args, { cwd: crate, encoding: 'utf8' });
  if (status !== 0) throw new Error('cargo cannot list the crates', { cause: error });
  const lines = stdout.split('\n').map(line => line.replace(/ \((\*|proc-macro)\)/g, '').trim());
  const crates = new Set(lines.filter(line => line !== '' && !line.startsWith('postern-quic')));
  return `Crates compiled into this binary (name and version, licence, source)\n\n${[...crates].sort().join('\n')}\n`;
}

/** Where the committed binary of this platform is, or would be. */
const prebuilt = join(
  root,
  'internal/quic/prebuilt',
  `${process.platform}-${process.arch}${process.platform === 'linux' ? '-gnu' : ''}`,
);

/** Makes the fresh binary the committed one. */
function commitPrebuilt(): void {
  const folder = prebuilt;
  mkdirSync(folder, { recursive: true });
  place(binary, join(folder, 'postern-quic.node'));
  writeFileSync(join(folder, sourceHashFile), `${nativeSourceHash(crate)}\n`);
  writeFileSync(join(folder, 'third-party.txt'), thirdParty());
  console.log(`Placed in ${folder}`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const isSetup = process.argv.includes('--setup');
  const committed = isSetup && !existsSync(binary) && builtHash(prebuilt) === nativeSourceHash(crate);
  const result: BuildResult = committed ? { kind: 'current' } : await buildNative(process.argv.includes('--force'));
  if (result.kind === 'failed') {
    console.error(
      `The QUIC engine was not built: ${result.reason}. It needs Rust (https://rustup.rs) and a C compiler.`,
    );
    process.exitCode = 1;
  } else {
    console.log(result.kind === 'current' ? 'The QUIC engine is up to date' : `Built ${binary}`);
    if (process.argv.includes('--prebuilt')) commitPrebuilt();
  }
}
