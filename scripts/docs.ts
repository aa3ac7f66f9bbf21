// Writes the generated parts of the documents, between their markers (`<!-- generated:settings -->` …
// `<!-- /generated:settings -->`). `--check` only says whether they are up to date.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { commandsDocument } from './docs/commands.ts';
import { errorTableText, exitCodeTable } from './docs/errors.ts';
import { limitTables } from './docs/limits.ts';
import { openApiText } from './docs/openapi.ts';
import { outputSchemas } from './docs/output-schemas.ts';
import { roomPicture, roomTable } from './docs/rooms.ts';
import { scopeTable } from './docs/scopes.ts';
import { edgeFlagsTable, originRequestTable, settingsTable } from './docs/settings.ts';

/** What is generated: file → parts by name, as Markdown. Every part has its markers in that file. */
export const generatedParts: Readonly<Record<string, Readonly<Record<string, () => string>>>> = {
  'CONTRIBUTING.md': { rooms: roomTable },
  'README.md': { picture: roomPicture },
  'docs/accounts.md': { scopes: scopeTable },
  'docs/errors.md': { codes: errorTableText, 'exit-codes': exitCodeTable },
  'docs/limits.md': limitTables,
  'docs/settings.md': { settings: settingsTable, 'edge-flags': edgeFlagsTable, 'origin-request': originRequestTable },
};

/** Files that are generated as a whole: file → text. */
export const generatedFiles: Readonly<Record<string, () => string | Promise<string>>> = {
  'docs/commands.md': commandsDocument,
  'docs/openapi.json': openApiText,
  ...outputSchemas,
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

if (import.meta.main) {
  for (const file of Object.keys(generatedParts)) {
    const path = join(import.meta.dirname, '..', file);
    const text = readFileSync(path, 'utf8');
    keep(path, text, fillIn(file, text));
  }
  for (const [file, make] of Object.entries(generatedFiles)) {
    const path = join(import.meta.dirname, '..', file);
    keep(path, existsSync(path) ? readFileSync(path, 'utf8') : '', await make());
  }
}

function keep(path: string, text: string, filled: string): void {
  if (filled === text) return;
  if (process.argv.includes('--check')) process.exitCode = 1;
  else {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, filled);
  }
}
