// Follows docs/adding-a-feature.md word by word in a copy of the tree, as a newcomer would: its files, its lines, its checks.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { temporaryDirectory } from '../support/program.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
const parts = ['internal', 'cmd', 'test', 'scripts', 'package.json', 'tsconfig.json', 'biome.json', '.gitignore'];

interface Step {
  readonly path: string;
  readonly kind: 'ts' | 'diff';
  readonly text: string;
}

/** Blocks of code, each for the file that was named last on a line of its own. */
function stepsOf(page: string): readonly Step[] {
  const steps: Step[] = [];
  let path = '';
  for (const [, named, kind, text = ''] of page.matchAll(/^`(internal\/[^`]+)`:$|^```(ts|diff)\n(.*?)^```$/gms)) {
    if (named !== undefined) path = named;
    else steps.push({ path, kind: kind as Step['kind'], text });
  }
  return steps;
}

/** Puts lines with `+` behind the line above them, which must be there once. */
function applyDiff(source: string, diff: string): string {
  const lines = source.split('\n');
  let at = -1;
  for (const line of diff.trimEnd().split('\n')) {
    const text = line.slice(1);
    if (line.startsWith('+')) lines.splice(++at, 0, text);
    else {
      assert.equal(lines.filter(one => one === text).length, 1, `the line ${JSON.stringify(text)}`);
      at = lines.indexOf(text);
    }
  }
  return lines.join('\n');
}

async function follow(t: TestContext): Promise<{ tree: string; steps: readonly Step[] }> {
  const tree = await temporaryDirectory(t);
  const filter = (source: string): boolean => !/\/(?:node_modules|target)$/.test(source);
  for (const part of parts) await cp(join(root, part), join(tree, part), { recursive: true, filter });
  await symlink(join(root, 'node_modules'), join(tree, 'node_modules'));
  const steps = stepsOf(await readFile(join(root, 'docs', 'adding-a-feature.md'), 'utf8'));
  for (const { path, kind, text } of steps) {
    const file = join(tree, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, kind === 'ts' ? text : applyDiff(await readFile(file, 'utf8'), text));
  }
  return { tree, steps };
}

it('the page on adding a feature leads to one that works', { timeout: 240_000 }, async t => {
  const { tree, steps } = await follow(t);
  const made = steps.filter(step => step.kind === 'ts').map(step => step.path);
  assert.equal(new Set(made.map(path => dirname(path))).size, 1, 'one folder');
  assert.deepEqual(
    new Set(steps.filter(step => step.kind === 'diff').map(step => step.path)),
    new Set(['internal/edge/features.ts']),
  );
  const node = (args: readonly string[]) => run(process.execPath, args, { cwd: tree, env: { PATH: process.env.PATH } });
  const tests = [...made.filter(path => path.endsWith('.test.ts')), 'internal/edge/owners.test.ts'];
  const architecture = ['imports', 'source'].map(name => `test/architecture/${name}.test.ts`);
  await node(['--disable-warning=ExperimentalWarning', '--test', ...tests, ...architecture]);
  await node(['node_modules/typescript/bin/tsc', '--noEmit', '-p', '.']);
  await node([
    'node_modules/@biomejs/biome/bin/biome',
    'check',
    '--vcs-enabled=false',
    ...made,
    'internal/edge/features.ts',
  ]);
});
