// Writes the generated parts of the documents, between their markers (`<!-- generated:settings -->` …
// `<!-- /generated:settings -->`). `--check` only says whether they are up to date.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorTableText, exitCodeTable } from './docs/errors.ts';
import { limitTables } from './docs/limits.ts';
import { openApiText } from './docs/openapi.ts';
import { roomPicture, roomTable } from './docs/rooms.ts';
import { edgeFlagsTable, originRequestTable, settingsTable } from './docs/settings.ts';

/** What is generated: file → parts by name, as Markdown. Every part has its markers in that file. */
export const generatedParts: Readonly<Record<string, Readonly<Record<string, () => string>>>> = {
  'CONTRIBUTING.md': { rooms: roomTable },
  'README.md': { picture: roomPicture },
  'docs/errors.md': { codes: errorTableText, 'exit-codes': exitCodeTable },
  'docs/limits.md': limitTables,
  'docs/settings.md': { settings: settingsTable, 'edge-flags': edgeFlagsTable, 'origin-request': originRequestTable },
};

/** The text of a file with every part between its markers replaced. Throws when a part has no markers. */
export function fillIn(file: string, text: string): string {
  let filled = text;
  for (const [name, part] of Object.entries(generatedParts[file] ?? {})) {
    const [start, end] = [`<!-- generated:${name} -->`, `<!-- /generated:${name} -->`];
    const [from, to] = [filled.indexOf(start), filled.indexOf(end)];
    if (from === -1 || to < from) throw new Error(`${file} has no markers for the part "${name}"`);
    filled = `${filled.slice(0, from + start.length)}\n${part()}${filled.slice(to)}`;
  }
  return filled;
}

/** Files that are generated whole: file → text. */
export const generatedFiles: Readonly<Record<string, () => string>> = {
  'docs/openapi.json': openApiText,
};

if (import.meta.main) {
  for (const [file, text] of Object.entries(generatedFiles)) {
    const path = join(import.meta.dirname, '..', file);
    const present = existsSync(path) ? readFileSync(path, 'utf8') : undefined;
    const wanted = text();
    if (present === wanted) continue;
    if (process.argv.includes('--check')) process.exitCode = 1;
    else writeFileSync(path, wanted);
  }
  for (const file of Object.keys(generatedParts)) {
    const path = join(import.meta.dirname, '..', file);
    const text = readFileSync(path, 'utf8');
    const filled = fillIn(file, text);
    if (filled === text) continue;
    if (process.argv.includes('--check')) process.exitCode = 1;
    else writeFileSync(path, filled);
  }
}
