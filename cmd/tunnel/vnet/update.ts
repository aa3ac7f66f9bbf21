// `tunnel vnet update ID-or-NAME`. Source: docs/protocol/commands-and-api.md §5.5, §9.6.

import { PosternError } from '../../../internal/errors/error.ts';
import { printableLine } from '../../../internal/telemetry/printable.ts';
import { defineCommand } from '../../command.ts';
import { openApi } from '../api.ts';
import { findNetwork } from '../find-network.ts';

export const command = defineCommand({
  description: 'Changes the name or comment of a virtual network, or makes it the default one.',
  positionals: [{ name: 'VNET', description: 'ID or name of the virtual network' }],
  checkArgs: args =>
    args.length === 1
      ? undefined
      : 'You must supply exactly one argument, either the ID or (current) name of the virtual network to update',
  flags: [
    { name: 'name', aliases: ['n'], type: 'string', valueName: 'NAME', description: 'New name' },
    { name: 'comment', aliases: ['c'], type: 'string', valueName: 'TEXT', description: 'New comment' },
    { name: 'default', aliases: ['d'], type: 'boolean', description: 'Make it the default one of the account' },
  ],
  run: async (invocation, context) => {
    const [current = ''] = invocation.args;
    const { flags, sources } = invocation;
    const isGiven = (name: string): boolean => sources[name] !== undefined;
    if (!['name', 'comment', 'default'].some(isGiven)) {
      throw new PosternError('usage.invalid', 'Nothing to change: give --name, --comment or --default');
    }
    const api = await openApi(invocation, context);
    const id = await findNetwork(api, current);
    await api.client.updateNetwork({
      params: { account: api.account, id },
      body: {
        ...(isGiven('name') ? { name: flags.name } : {}),
        ...(isGiven('comment') ? { comment: flags.comment } : {}),
        ...(isGiven('default') ? { is_default_network: flags.default } : {}),
      },
    });
    context.stdout.write(`Successfully updated virtual network '${printableLine(current)}'\n`);
  },
});
