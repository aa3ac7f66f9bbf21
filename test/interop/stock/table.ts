// The results of `npm run interop` as text: a row a scenario, a column a program, and below it why something failed.

import type { Family, ScenarioOutcome } from './scenario.ts';

export interface ResultRow {
  readonly family: Family;
  readonly name: string;
  /** In the order of the columns. */
  readonly outcomes: readonly ScenarioOutcome[];
}

/** A cell that tells all would make a row of several lines. */
const cellLength = 60;

/** @param columns names of the programs */
export function formatTable(columns: readonly string[], rows: readonly ResultRow[]): string {
  const cells = [
    ['family', 'scenario', ...columns],
    ...rows.map(({ family, name, outcomes }) => [family, name, ...outcomes.map(cellOf)]),
  ];
  const widths = cells[0]?.map((_, column) => Math.max(...cells.map(row => (row[column] ?? '').length))) ?? [];
  const lines = cells.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const rule = widths.map(width => '-'.repeat(width)).join('  ');
  const reasons = rows.flatMap(row =>
    row.outcomes.flatMap((outcome, column) =>
      outcome.kind === 'failed' ? [`${row.family}, ${row.name}, ${columns[column]}:\n${indent(outcome.reason)}`] : [],
    ),
  );
  return [[lines[0], rule, ...lines.slice(1)].join('\n'), ...reasons].join('\n\n');
}

function cellOf(outcome: ScenarioOutcome): string {
  if (outcome.kind === 'ok') return 'ok';
  const [first = ''] = outcome.reason.split('\n');
  const text = `${outcome.kind}: ${first}`;
  return text.length <= cellLength ? text : `${text.slice(0, cellLength - 1)}…`;
}

function indent(text: string): string {
  return text.trimEnd().replaceAll(/^/gm, '  ');
}
