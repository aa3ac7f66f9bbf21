// `npm test`: types, lint and format, the QUIC engine, then architecture, unit, conformance and end-to-end tests.
// `--only check` stops after the static part; any other argument is a test file or folder to run alone.

import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nativeSourceHash, sourceHashFile } from '../internal/quic/source-hash.ts';
import { cargoEnv } from './build-native.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const bin = (name: string): string => join(root, 'node_modules', '.bin', name);
const args = process.argv.slice(2);

/** Runs a step with inherited output and ends the program with its status when it fails. */
function step(
  title: string,
  command: string,
  commandArgs: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): void {
  const started = performance.now();
  const { status, signal, error } = spawnSync(command, commandArgs, { cwd: root, stdio: 'inherit', ...options });
  if (error !== undefined) throw error;
  if (status !== 0) {
    console.error(`${title}: failed (${signal ?? `exit ${status}`})`);
    process.exit(status ?? 1);
  }
  console.log(`${title}: passed in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

/**
 * The suites run against a QUIC engine built from the sources at hand: in CI always, elsewhere when the committed binary is
 * of other sources. Without Rust the committed binary is tested as it is.
 */
function buildEngine(): void {
  const crate = join(root, 'internal/quic/native');
  const committed = join(root, 'internal/quic/prebuilt/linux-x64-gnu', sourceHashFile);
  const isCurrent = existsSync(committed) && readFileSync(committed, 'utf8').trim() === nativeSourceHash(crate);
  if (isCurrent && process.env.CI !== 'true') return;
  if (spawnSync('cargo', ['--version'], { stdio: 'ignore' }).status !== 0) {
    console.log('QUIC engine: no Rust here, the committed binary is tested');
    return;
  }
  step('QUIC engine', process.execPath, ['--disable-warning=ExperimentalWarning', 'scripts/build-native.ts']);
  checkEngine(crate);
}

/** The engine's formatting, lint with warnings as errors, and unit tests, as far as this machine's Rust has the tools. */
function checkEngine(crate: string): void {
  const checks: readonly (readonly [string, string, readonly string[]])[] = [
    ['QUIC engine: format', 'fmt', ['--check']],
    ['QUIC engine: lint', 'clippy', ['--release', '--locked', '--all-targets', '--', '-D', 'warnings']],
    // In release, so that the libraries are those of the build before.
    ['QUIC engine: unit tests', 'test', ['--release', '--locked', '--quiet']],
  ];
  for (const [title, tool, toolArgs] of checks) {
    if (spawnSync('cargo', [tool, '--version'], { cwd: crate, stdio: 'ignore' }).status !== 0)
      console.log(`${title}: cargo ${tool} is not installed here`);
    else step(title, 'cargo', [tool, ...toolArgs], { cwd: crate, env: cargoEnv() });
  }
}

function testFiles(patterns: readonly string[]): string[] {
  const found = patterns.flatMap(pattern => {
    const isFolder = statSync(join(root, pattern), { throwIfNoEntry: false })?.isDirectory() ?? false;
    const files = globSync(isFolder ? `${pattern}/**/*.test.ts` : pattern, { cwd: root });
    // Node would look for tests by itself, and run this script.
    if (files.length === 0) {
      console.error(`There is no test file ${isFolder ? 'in' : 'named'} ${pattern}`);
      process.exit(1);
    }
    return files;
  });
  return [...new Set(found)].sort();
}

const selected = args.filter(arg => !arg.startsWith('--'));
const only = args.includes('--only') ? args[args.indexOf('--only') + 1] : undefined;

if (only === 'check' || selected.length === 0) {
  step('types', bin('tsc'), ['--project', '.']);
  step('lint and format', bin('biome'), ['check', '--error-on-warnings', '.']);
}
if (only !== 'check') {
  if (selected.length === 0) buildEngine();
  const files = testFiles(selected.length > 0 ? selected : ['internal', 'cmd', 'scripts', 'test']);
  step('tests', process.execPath, [
    '--disable-warning=ExperimentalWarning',
    '--test',
    `--test-concurrency=${Math.max(2, availableParallelism())}`,
    '--test-timeout=300000',
    ...files,
  ]);
}
