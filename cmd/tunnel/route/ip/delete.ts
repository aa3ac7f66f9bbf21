// `tunnel route ip delete ROUTE-ID|CIDR`. Source: docs/protocol/commands-and-api.md §5.5, §9.5.

import { isUuid } from '../../../../internal/schema/api/id.ts';
import { defineCommand } from '../../../command.ts';
import { openApi } from '../../api.ts';
import { networkFlag } from '../../find-network.ts';
import { findRoute } from './find-route.ts';
import { parseNetwork } from './parse-network.ts';

export const command = defineCommand({
  description: 'Deletes a private route, named by its ID or by its network.',
  positionals: [{ name: 'ROUTE', description: 'ID of the route, or its network in CIDR form' }],
  checkArgs: args =>
    args.length === 1
      ? undefined
      : 'You must supply exactly one argument, the ID or the network of the route to delete',
  flags: [
    { ...networkFlag, description: 'Virtual network of a route named by its network; default: wherever there is one' },
  ],
  run: async (invocation, context) => {
    const [text = ''] = invocation.args;
    if (!isUuid(text)) parseNetwork(text);
    const api = await openApi(invocation, context);
    const id = await findRoute(api, text, invocation.flags.vnet);
    await api.client.deleteIpRoute({ params: { account: api.account, id } });
    context.stdout.write(`Successfully deleted route with ID ${id}\n`);
  },
});
