// The command lines of the build scripts, as npm runs them.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { it } from 'node:test';

for (const script of ['build', 'package']) {
  it(`npm run ${script} explains itself, and a wrong flag`, () => {
    const run = (flag: string) => {
      const path = join(import.meta.dirname, '..', `${script}.ts`);
      return spawnSync(process.execPath, [path, flag], { encoding: 'utf8', timeout: 20_000 });
    };
    const help = run('--help');
    assert.equal(help.status, 0, help.stderr);
    assert.match(help.stdout, new RegExp(`^.npm run ${script}.: [\\s\\S]*--target T`));
    const wrong = run('--bogus');
    assert.equal(wrong.status, 64);
    assert.match(wrong.stderr, /^Unknown option '--bogus'[\s\S]*--target T/);
    assert.doesNotMatch(wrong.stderr, /^ +at /m);
  });
}
