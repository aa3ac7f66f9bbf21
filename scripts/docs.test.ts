import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fillIn, generatedFiles, generatedParts } from './docs.ts';

describe('the generated parts of the documents', () => {
  it('generated files are up to date (node scripts/docs.ts writes them)', async () => {
    for (const [file, make] of Object.entries(generatedFiles))
      assert.equal(readFileSync(join(import.meta.dirname, '..', file), 'utf8'), await make(), file);
  });

  for (const [file, parts] of Object.entries(generatedParts)) {
    it(`${file} is up to date (node scripts/docs.ts writes it)`, () => {
      const text = readFileSync(join(import.meta.dirname, '..', file), 'utf8');
      assert.equal(fillIn(file, text), text);
    });

    it(`${file} has parts with something in them`, () => {
      for (const [name, part] of Object.entries(parts)) assert.ok(part().trimEnd().split('\n').length > 4, name);
      assert.throws(() => fillIn(file, 'no markers'), /has no markers for the part/);
    });
  }
});
