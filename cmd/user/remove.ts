// `user remove USER`: a user with devices and tokens, at once.

import { printableLine } from '../../internal/telemetry/printable.ts';
import { defineCommand } from '../command.ts';
import { findNamed } from '../find-named.ts';
import { openApi } from '../tunnel/api.ts';

export const command = defineCommand({
  description:
    'Removes a user with all devices, API tokens and memberships. What runs with one of those tokens is cut at once. Tunnels ' +
    'are of the account and stay; their own tokens go on working.',
  positionals: [{ name: 'USER', description: 'ID or name of the user' }],
  flags: [],
  run: async (invocation, context) => {
    const [name = ''] = invocation.args;
    const api = await openApi(invocation, context);
    const { id } = findNamed(await api.client.listUsers({ params: { account: api.account } }), name, 'user');
    const user = await api.client.removeUser({ params: { account: api.account, id } });
    context.stdout.write(`Removed user ${printableLine(user.name)} with ID ${user.id}\n`);
  },
});
