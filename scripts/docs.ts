// Writes the generated parts of README.md: the tables of settings, of originRequest and of exit codes, between their
// markers (`<!-- generated:settings -->` … `<!-- /generated:settings -->`). `--check` only says whether they are up to date.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Flag, settingKey } from '../internal/config/flag.ts';
import { tunnelSettingFlags } from '../internal/config/tunnel-settings.ts';
import { errorTable } from '../internal/errors/table.ts';
import { formatDuration } from '../internal/schema/duration.ts';
import { documentTypes } from '../internal/schema/ingress-document.ts';
import { originRequestDefaults } from '../internal/schema/origin-request.ts';

/** The generated parts by name, as Markdown. */
export function generatedParts(): Readonly<Record<string, string>> {
  return { settings: settingsTable(), 'origin-request': originRequestTable(), 'exit-codes': exitCodeTable() };
}

/** The text with every part between its markers replaced. Throws when a part has no markers. */
export function fillIn(text: string): string {
  let filled = text;
  for (const [name, part] of Object.entries(generatedParts())) {
    const [start, end] = [`<!-- generated:${name} -->`, `<!-- /generated:${name} -->`];
    const [from, to] = [filled.indexOf(start), filled.indexOf(end)];
    if (from === -1 || to < from) throw new Error(`README.md has no markers for the part "${name}"`);
    filled = `${filled.slice(0, from + start.length)}\n${part}${filled.slice(to)}`;
  }
  return filled;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line), ''].join('\n');
}

function settingsTable(): string {
  const flags: readonly Flag[] = tunnelSettingFlags;
  const rows = flags
    .filter(flag => flag.inert !== true)
    .map(flag => [
      [flag.name, ...(flag.aliases ?? [])].map(name => `\`${name.length === 1 ? '-' : '--'}${name}\``).join(', '),
      (flag.env ?? []).map(name => `\`${name}\``).join(', '),
      flag.default === undefined || flag.default === '' ? '' : `\`${flag.default}\``,
      flag.fromFile === true ? 'yes' : 'no',
      flag.description,
    ]);
  return table(['flag', 'environment', 'default', 'config file', 'meaning'], rows);
}

function originRequestTable(): string {
  const defaults: Readonly<Record<string, unknown>> = { ...originRequestDefaults };
  const rows = Object.entries(documentTypes.yaml.originRequest.shape).map(([name, type]) => {
    const isDuration = Object.hasOwn(defaults, `${name}Ms`);
    const value = defaults[settingKey({ name, type: isDuration ? 'duration' : 'string' })];
    return [`\`${name}\``, showDefault(value, isDuration), type.description ?? ''];
  });
  return table(['key', 'default', 'meaning'], rows);
}

function showDefault(value: unknown, isDuration: boolean): string {
  if (typeof value === 'number' && isDuration) return `\`${formatDuration(value)}\``;
  if (value === undefined || value === '' || Array.isArray(value)) return '';
  return `\`${String(value)}\``;
}

const exitTexts: Readonly<Record<number, string>> = {
  0: 'Success, and a graceful stop',
  1: 'Any other failure',
  2: 'Credentials missing, invalid or refused',
  3: 'Configuration missing or invalid',
  64: 'The command line is wrong',
};

function exitCodeTable(): string {
  const kinds = Object.entries(errorTable);
  const rows = Object.entries(exitTexts).map(([code, text]) => {
    const codes = kinds.filter(([, kind]) => String(kind.exit) === code).map(([name]) => `\`${name}\``);
    return [code, text, code === '1' ? '' : codes.join(', ')];
  });
  return table(['exit code', 'meaning', 'error codes'], rows);
}

if (import.meta.main) {
  const path = join(import.meta.dirname, '..', 'README.md');
  const text = readFileSync(path, 'utf8');
  const filled = fillIn(text);
  if (process.argv.includes('--check')) process.exitCode = filled === text ? 0 : 1;
  else writeFileSync(path, filled);
}
