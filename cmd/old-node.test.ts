// The program's entry under a Node that is too old for it: a sentence, not a stack.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { it } from 'node:test';

const entry = join(import.meta.dirname, 'postern.js');

/** A Node below 24 on this machine, as Debian has one. */
function oldNode(): string | undefined {
  const places = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/local/bin'];
  return places
    .map(place => join(place, 'node'))
    .find(path => {
      const { stdout, status } = spawnSync(path, ['-p', 'parseInt(process.versions.node)'], { encoding: 'utf8' });
      return status === 0 && Number(stdout) < 24;
    });
}

it('says which Node is needed', t => {
  const node = oldNode();
  if (node === undefined) {
    t.skip('no Node below 24 on this machine');
    return;
  }
  const { status, stderr } = spawnSync(node, [entry, 'version'], { encoding: 'utf8', timeout: 20_000 });
  assert.equal(status, 1);
  assert.match(stderr, /^Postern needs Node\.js 24 or newer; this is v\d+\.\d+\.\d+, \S+\. .*\n$/);
});
