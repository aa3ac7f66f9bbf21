// `tunnel vnet delete ID-or-NAME`. Source: docs/protocol/commands-and-api.md §5.5, §9.6.

import { printableLine } from '../../../internal/telemetry/printable.ts';
import { defineCommand } from '../../command.ts';
import { openApi } from '../api.ts';
import { findNetwork } from '../find-network.ts';

export const command = defineCommand({
  description: 'Deletes a virtual network. With routes in it only by force; the default one never.',
  positionals: [{ name: 'VNET', description: 'ID or name of the virtual network' }],
  checkArgs: args =>
    args.length === 1
      ? undefined
      : 'You must supply exactly one argument, either the ID or name of the virtual network to delete',
  flags: [{ name: 'force', aliases: ['f'], type: 'boolean', description: 'Also delete the routes in it' }],
  run: async (invocation, context) => {
    const [name = ''] = invocation.args;
    const api = await openApi(invocation, context);
    const id = await findNetwork(api, name);
    await api.client.deleteNetwork({
      params: { account: api.account, id },
      query: { force: invocation.flags.force || undefined },
    });
    context.stdout.write(`Successfully deleted virtual network '${printableLine(name)}'\n`);
  },
});
