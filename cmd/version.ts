// `postern version`. Source: docs/protocol/commands-and-api.md §6.

import { defineCommand } from './command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from './output.ts';
import { version, versionLine } from './version-line.ts';

export const command = defineCommand({
  flags: [{ name: 'short', aliases: ['s'], type: 'boolean', description: 'Only the number' }, outputFlag],
  run: async ({ flags }, context) => {
    const format = parseOutputFormat(flags.output);
    if (format === undefined) context.stdout.write(`${flags.short ? version : versionLine()}\n`);
    else writeFormatted(context, format, { version });
  },
});
