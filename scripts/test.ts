// `npm test`: types, lint and format, architecture, then unit, conformance and end-to-end tests, in that order.
// `--only check` stops after the static part; any other argument is a test file or folder to run alone.

import { spawnSync } from 'node:child_process';
import { globSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const bin = (name: string): string => join(root, 'node_modules', '.bin', name);
const args = process.argv.slice(2);

/** Runs a step with inherited output and ends the program with its status when it fails. */
function step(title: string, command: string, commandArgs: readonly string[]): void {
  const started = performance.now();
  const { status, signal, error } = spawnSync(command, commandArgs, { cwd: root, stdio: 'inherit' });
  if (error !== undefined) throw error;
  if (status !== 0) {
    console.error(`${title}: failed (${signal ?? `exit ${status}`})`);
    process.exit(status ?? 1);
  }
  console.log(`${title}: passed in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

function testFiles(patterns: readonly string[]): string[] {
  const found = patterns.flatMap(pattern => {
    const isFolder = statSync(join(root, pattern), { throwIfNoEntry: false })?.isDirectory() ?? false;
    return globSync(isFolder ? `${pattern}/**/*.test.ts` : pattern, { cwd: root });
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
  const files = testFiles(selected.length > 0 ? selected : ['internal', 'cmd', 'scripts', 'test']);
  step('tests', process.execPath, [
    '--disable-warning=ExperimentalWarning',
    '--test',
    `--test-concurrency=${Math.max(2, availableParallelism())}`,
    '--test-timeout=300000',
    ...files,
  ]);
}
