// Tables of the listing commands: columns padded with spaces to their widest cell and one more, the last one too.
// Source: docs/protocol/commands-and-api.md §5.

import { printableLine } from '../internal/telemetry/printable.ts';

/** The lines of a table, each ended by a newline. What others named cannot move the cursor. */
export function formatTable(header: readonly string[], cells: readonly (readonly string[])[]): string {
  const rows = cells.map(row => row.map(printableLine));
  const widths = header.map(
    (name, column) => Math.max(name.length, ...rows.map(row => (row[column] ?? '').length)) + 1,
  );
  const line = (cells: readonly string[]): string =>
    `${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('')}\n`;
  return line(header) + rows.map(line).join('');
}

/** RFC 3339 to the second, in UTC: `2024-01-01T00:00:00Z`. */
export function formatSeconds(time: string): string {
  const ms = Date.parse(time);
  return Number.isNaN(ms) ? time : new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
