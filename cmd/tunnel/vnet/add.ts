// `tunnel vnet add NAME [COMMENT]`. Source: docs/protocol/commands-and-api.md §5.5.

import { printableLine } from '../../../internal/telemetry/printable.ts';
import { defineCommand } from '../../command.ts';
import { openApi } from '../api.ts';

export const command = defineCommand({
  description: 'Adds a virtual network: a set of private routes whose addresses may overlap with those of others.',
  positionals: [
    { name: 'NAME', description: 'Name of the new virtual network' },
    { name: 'COMMENT', description: 'What it is for', optional: true, repeated: true },
  ],
  checkArgs: args =>
    args.length >= 1
      ? undefined
      : 'You must supply at least 1 argument, the name of the virtual network you wish to add.',
  flags: [{ name: 'default', aliases: ['d'], type: 'boolean', description: 'Make it the default one of the account' }],
  run: async (invocation, context) => {
    const [name = '', ...comment] = invocation.args;
    const api = await openApi(invocation, context);
    const network = await api.client.addNetwork({
      params: { account: api.account },
      body: { name, comment: comment.join(' '), is_default_network: invocation.flags.default },
    });
    const isDefault = network.is_default_network ? ' (as the new default for this account) ' : '';
    context.stdout.write(
      `Successfully added virtual 'network' ${printableLine(network.name)} with ID: ${network.id}${isDefault}\n` +
        'You can now add routes to it: see `postern tunnel route ip add --help`\n',
    );
  },
});
