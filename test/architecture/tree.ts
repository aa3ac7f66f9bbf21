// The source files, and what each of them imports, for the tests of the architecture.

import { globSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Paths of the TypeScript files that match a pattern, from the root of the repository, with `/`. */
export function filesOf(pattern: string): string[] {
  return globSync(pattern, { cwd: root, exclude: ['**/node_modules/**', '**/target/**'] })
    .map(file => file.split('\\').join('/'))
    .sort();
}

export const isTest = (file: string): boolean => file.endsWith('.test.ts');

export function textOf(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

/** Files of the repository that a file imports, types and dynamic imports included. */
export function importsOf(file: string): string[] {
  const found = textOf(file).matchAll(
    /(?:^|\n)\s*(?:import|export)\s[^;'"]*?from\s*'(\.[^']+)'|import\(\s*'(\.[^']+)'\s*\)|(?:^|\n)import\s+'(\.[^']+)'/g,
  );
  return [...found].map(match => posix.join(posix.dirname(file), match[1] ?? match[2] ?? match[3] ?? ''));
}

/** A circle for every import that leads back to something on the way to it, as `a → b → a`. */
export function circlesIn(imports: ReadonlyMap<string, Iterable<string>>): string[] {
  const circles: string[] = [];
  const finished = new Set<string>();
  const visit = (name: string, way: readonly string[]): void => {
    if (way.includes(name)) circles.push([...way.slice(way.indexOf(name)), name].join(' → '));
    if (finished.has(name) || way.includes(name)) return;
    for (const target of imports.get(name) ?? []) visit(target, [...way, name]);
    finished.add(name);
  };
  for (const name of imports.keys()) visit(name, []);
  return circles;
}
