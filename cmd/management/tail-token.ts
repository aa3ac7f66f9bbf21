// `tail token TUNNEL`: prints an access token for logs. Source: docs/protocol/commands-and-api.md §6.

import { defineCommand } from '../command.ts';
import { openApi } from '../tunnel/api.ts';
import { fetchToken } from './fetch-token.ts';

export const command = defineCommand({
  description: 'Prints a token, good for an hour, for postern tail --token.',
  positionals: [{ name: 'TUNNEL', description: 'ID or name of the tunnel' }],
  checkArgs: args => (args.length === 1 ? undefined : 'no tunnel ID provided'),
  flags: [],
  run: async (invocation, context) => {
    const token = await fetchToken(await openApi(invocation, context), invocation.args[0] ?? '', 'logs');
    context.stdout.write(`${JSON.stringify({ token })}\n`);
  },
});
