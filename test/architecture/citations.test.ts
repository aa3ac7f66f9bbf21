// Every note in the sources that points at a page of docs/ names a file, and each heading it names is in that file.

import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const sources = globSync('{internal,cmd,test,scripts}/**/*.{ts,rs,py,js}', {
  cwd: root,
  exclude: path => /(^|\/)(target|node_modules)(\/|$)/.test(String(path)),
});
const section = String.raw`§\d+(?:\.\d+)*(?:[–-]\d+(?:\.\d+)*)?`;
const citation = new RegExp(String.raw`\b(docs/[\w/-]+\.md)((?:(?:,| and)? ${section})*)`, 'g');

/** A file's text with wrapped comments on one line, so that a note reads on. */
function unwrapped(path: string): string {
  return readFileSync(join(root, path), 'utf8').replaceAll(/\n\s*(?:\/\/!?|\*|#)\s+/g, ' ');
}

function headingsOf(page: string): ReadonlySet<string> {
  const text = readFileSync(join(root, page), 'utf8');
  return new Set([...text.matchAll(/^#+ (\d+(?:\.\d+)*)/gm)].map(match => match[1] ?? ''));
}

describe('notes in the sources', () => {
  it('point at pages and headings that exist', () => {
    const headings = new Map<string, ReadonlySet<string>>();
    const wrong: string[] = [];
    let seen = 0;
    for (const source of sources) {
      for (const [, page = '', sections = ''] of unwrapped(source).matchAll(citation)) {
        seen += 1;
        if (!existsSync(join(root, page))) {
          wrong.push(`${source}: ${page}`);
          continue;
        }
        if (!headings.has(page)) headings.set(page, headingsOf(page));
        for (const [, number = ''] of sections.matchAll(/§(\d+(?:\.\d+)*)/g)) {
          if (headings.get(page)?.has(number) !== true) wrong.push(`${source}: ${page} §${number}`);
        }
      }
    }
    assert.deepEqual(wrong, []);
    assert.ok(seen > 100, `only ${seen} notes were found`);
  });

  it('point at nothing that only its writers had', () => {
    const own = join('test', 'architecture', 'citations.test.ts');
    const wrong = sources.filter(
      source =>
        source !== own && /\b[Ss]pec (?:§|[a-z-]+ §)|\b[Ii]ssue "|\bissue \d|recorded peer/.test(unwrapped(source)),
    );
    assert.deepEqual(wrong, []);
  });
});
