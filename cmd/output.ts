// `--output json|yaml` of the management commands. Source: docs/protocol/commands-and-api.md §5, §5.5.

import type { Flag } from '../internal/config/flag.ts';
import { PosternError } from '../internal/errors/error.ts';
import { loadYaml } from '../internal/schema/load-yaml.ts';
import type { CommandContext } from './context.ts';
import type { Printed } from './printed/tunnel-documents.ts';

export const outputFlag = {
  name: 'output',
  aliases: ['o'],
  type: 'string',
  valueName: 'FORMAT',
  description: 'Print the result as json or yaml',
} as const satisfies Flag;

export type OutputFormat = 'json' | 'yaml' | undefined;

/** Throws 'usage.invalid' for an unknown format, before anything is done. */
export function parseOutputFormat(text: string | undefined): OutputFormat {
  if (text === undefined || text === '' || text === 'default') return undefined;
  if (text === 'json' || text === 'yaml') return text;
  throw new PosternError('usage.invalid', `Unknown output format '${text}': use json or yaml`);
}

/** Writes `value` to stdout. */
export function writeFormatted(context: CommandContext, format: 'json' | 'yaml', value: unknown): void {
  writePrinted(context, format, { json: value, yaml: value });
}

/** Writes to stdout what each format has a form of its own for. */
export function writePrinted(context: CommandContext, format: 'json' | 'yaml', printed: Printed): void {
  const { json, yaml } = printed;
  context.stdout.write(format === 'json' ? `${JSON.stringify(json, null, 2)}\n` : loadYaml().stringify(yaml));
}
