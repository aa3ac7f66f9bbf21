// Builds the native QUIC engine with cargo when its sources are newer than its binary, by a hash of the sources.
//   npm run build:native              build internal/quic/native/postern-quic.node if needed
//   npm run build:native -- --force     build in any case
//   npm run build:native -- --prebuilt  … and make it the committed binary of this platform
//   npm run build:native -- --setup     build only where no binary, built or committed, belongs to the sources
//   npm run build:native -- --arm64     on Linux x64: make the committed binary of Linux arm64 instead, with Debian's
//                                       gcc-aarch64-linux-gnu and a Rust that has aarch64-unknown-linux-gnu
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

/** The one platform that is built for on another. */
const arm64 = {
  triple: 'aarch64-unknown-linux-gnu',
  folder: join(root, 'internal/quic/prebuilt/linux-arm64-gnu'),
  env: { CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER: 'aarch64-linux-gnu-gcc' },
} as const;

/** Runs cargo, with its progress on the terminal. Gives the reason when it fails. */
function cargo(forTarget: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<string | undefined> {
  return new Promise(resolve => {
    const child = spawn('cargo', ['build', '--release', '--locked', ...forTarget], {
      ...{ cwd: crate, stdio: 'inherit', env: { ...cargoEnv(), ...env } },
    });
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

/** Builds for Linux arm64, and makes it the committed binary. Gives the reason when it fails. */
async function buildArm64(): Promise<string | undefined> {
  const reason = await cargo(['--target', arm64.triple], arm64.env);
  if (reason === undefined)
    commitPrebuilt(join(crate, 'target', arm64.triple, 'release/libpostern_quic.so'), arm64.folder);
  return reason;
}

/** Makes a fresh binary the committed one in `folder`. */
function commitPrebuilt(fresh: string, folder: string): void {
  mkdirSync(folder, { recursive: true });
  place(fresh, join(folder, 'postern-quic.node'));
  writeFileSync(join(folder, sourceHashFile), `${nativeSourceHash(crate)}\n`);
  writeFileSync(join(folder, 'third-party.txt'), thirdParty());
  console.log(`Placed in ${folder}`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const has = (flag: string): boolean => process.argv.includes(flag);
  const committed = has('--setup') && !existsSync(binary) && builtHash(prebuilt) === nativeSourceHash(crate);
  let result: BuildResult;
  if (has('--arm64')) {
    const reason = await buildArm64();
    result = reason === undefined ? { kind: 'built' } : { kind: 'failed', reason };
  } else result = committed ? { kind: 'current' } : await buildNative(has('--force'));
  if (result.kind === 'failed') {
    console.error(
      `The QUIC engine was not built: ${result.reason}. It needs Rust (https://rustup.rs) and a C compiler.`,
    );
    process.exitCode = 1;
  } else if (!has('--arm64')) {
    console.log(result.kind === 'current' ? 'The QUIC engine is up to date' : `Built ${binary}`);
    if (has('--prebuilt')) commitPrebuilt(binary, prebuilt);
  }
}
