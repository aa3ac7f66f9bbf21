// `management token --resource R TUNNEL`: prints an access token. Source: docs/protocol/commands-and-api.md §6.

import { PosternError } from '../../internal/errors/error.ts';
import { managementResources } from '../../internal/schema/api/management.ts';
import { defineCommand } from '../command.ts';
import { openApi } from '../tunnel/api.ts';
import { fetchToken } from './fetch-token.ts';

export const command = defineCommand({
  description:
    'Prints a token, good for an hour, with which connectors of a tunnel answer through the edge: their log, what machine they ' +
    'are on, or everything.',
  positionals: [{ name: 'TUNNEL', description: 'ID or name of the tunnel' }],
  checkArgs: args => (args.length === 1 ? undefined : 'no tunnel ID provided'),
  flags: [
    {
      name: 'resource',
      type: 'string',
      valueName: managementResources.join('|'),
      description: 'What the token is for',
    },
  ],
  run: async (invocation, context) => {
    const wanted = invocation.flags.resource ?? '';
    const resource = managementResources.find(known => known === wanted);
    if (resource === undefined) {
      const known = managementResources.join(', ');
      throw new PosternError('usage.invalid', `invalid resource '${wanted}': must be one of: ${known} (--resource)`);
    }
    const api = await openApi(invocation, context);
    const token = await fetchToken(api, invocation.args[0] ?? '', resource);
    context.stdout.write(`${JSON.stringify({ token })}\n`);
  },
});
