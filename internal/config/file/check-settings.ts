// Values of the config file that flags have, too: each is of its flag's type, and passes its check. Source:
// docs/protocol/ingress-and-origin.md §2.

import type { DocumentPath } from '../../schema/config-error.ts';
import type { IssueCollector } from '../../schema/issue-collector.ts';
import { type Flag, parseFileValue } from '../flag.ts';
import { tunnelSettingFlags } from '../tunnel-settings.ts';

/** Records what is wrong with these values, which stand under `path`. */
export function checkSettings(
  settings: Readonly<Record<string, unknown>>,
  issues: IssueCollector,
  path: DocumentPath = [],
): void {
  for (const flag of tunnelSettingFlags as readonly Flag[]) {
    if (flag.fromFile !== true) continue;
    for (const name of [flag.name, ...(flag.aliases ?? [])]) {
      const raw = settings[name];
      if (raw === undefined || raw === null) continue;
      const checked = parseFileValue(flag, raw);
      if (!('fault' in checked)) continue;
      // Faults of the value, unlike those of its type, say what would be right.
      const remedy = checked.fault.startsWith('expected ') ? remedyFor(flag, raw) : '';
      issues.error([...path, name], checked.fault, remedy);
    }
  }
}

function remedyFor(flag: Flag, raw: unknown): string {
  switch (flag.type) {
    case 'duration':
      return `Write a text with a unit, such as "${typeof raw === 'number' ? raw : 30}s".`;
    case 'string':
      return typeof raw === 'number' || typeof raw === 'boolean' ? `Write it in quotes: "${raw}".` : 'Write a text.';
    case 'integer':
    case 'number':
      return 'Write a number without quotes.';
    case 'boolean':
      return 'Write true or false, without quotes.';
    case 'list':
      return 'Write a list, one "- value" a line.';
  }
}
