import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { fillIn, generatedParts } from './docs.ts';

it('the generated parts of README.md are up to date (node scripts/docs.ts writes them)', () => {
  const text = readFileSync(join(import.meta.dirname, '..', 'README.md'), 'utf8');
  assert.equal(fillIn(text), text);
});

it('every part is a table whose rows have a meaning', () => {
  for (const [name, part] of Object.entries(generatedParts())) {
    const rows = part.trimEnd().split('\n');
    assert.ok(rows.length > 4, name);
    for (const row of rows) assert.match(row, /^\| .* \|$/);
  }
  assert.throws(() => fillIn('no markers'), /no markers for the part "settings"/);
});
