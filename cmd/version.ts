// `postern version`. Source: spec cli-and-api §6.

import { defineCommand } from './command.ts';
import { version, versionLine } from './version-line.ts';

export const command = defineCommand({
  flags: [{ name: 'short', aliases: ['s'], type: 'boolean', description: 'Only the number' }],
  run: async ({ flags }, { stdout }) => {
    stdout.write(`${flags.short ? version : versionLine()}\n`);
  },
});
