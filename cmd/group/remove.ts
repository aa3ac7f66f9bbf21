// `group remove GROUP`; its members stay.

import { printableLine } from '../../internal/telemetry/printable.ts';
import { defineCommand } from '../command.ts';
import { findNamed } from '../find-named.ts';
import { openApi } from '../tunnel/api.ts';

export const command = defineCommand({
  description: 'Removes a group. The users in it stay.',
  positionals: [{ name: 'GROUP', description: 'ID or name of the group' }],
  flags: [],
  run: async (invocation, context) => {
    const [name = ''] = invocation.args;
    const api = await openApi(invocation, context);
    const { id } = findNamed(await api.client.listGroups({ params: { account: api.account } }), name, 'group');
    const group = await api.client.removeGroup({ params: { account: api.account, id } });
    context.stdout.write(`Removed group ${printableLine(group.name)} with ID ${group.id}\n`);
  },
});
