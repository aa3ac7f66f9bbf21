import assert from 'node:assert/strict';
import { join, resolve } from 'node:path';
import { it } from 'node:test';
import { resolvePath } from './resolve-path.ts';

it('paths are taken from the working directory, and from the home directory where they begin with ~', () => {
  const context = { cwd: resolve('/base'), homeDir: resolve('/home/u') };
  assert.equal(resolvePath('a/b', context), resolve('/base/a/b'));
  assert.equal(resolvePath('/a/~/b', context), resolve('/a/~/b'));
  assert.equal(resolvePath('~', context), context.homeDir);
  assert.equal(resolvePath('~/a', context), join(context.homeDir, 'a'));
  assert.equal(resolvePath('~\\a', context), join(context.homeDir, 'a'));
  assert.equal(resolvePath('~u/a', context), resolve('/base/~u/a'));
});
