// `tunnel route ip update ROUTE-ID|CIDR`: leads a route through another tunnel, without a moment in which it is gone.

import { PosternError } from '../../../../internal/errors/error.ts';
import { isUuid } from '../../../../internal/schema/api/id.ts';
import { defineCommand } from '../../../command.ts';
import { openApi } from '../../api.ts';
import { networkFlag } from '../../find-network.ts';
import { findTunnel } from '../../find-tunnel.ts';
import { findRoute } from './find-route.ts';
import { parseNetwork } from './parse-network.ts';

export const command = defineCommand({
  description: 'Changes the tunnel or the comment of a private route, named by its ID or by its network.',
  positionals: [{ name: 'ROUTE', description: 'ID of the route, or its network in CIDR form' }],
  flags: [
    {
      name: 'tunnel',
      aliases: ['t'],
      type: 'string',
      valueName: 'TUNNEL',
      description: 'ID or name of the new tunnel',
    },
    { name: 'comment', aliases: ['c'], type: 'string', valueName: 'TEXT', description: 'New comment' },
    { ...networkFlag, description: 'Virtual network of a route named by its network; default: wherever there is one' },
  ],
  examples: [
    ['postern tunnel route ip update --tunnel new-office 10.1.0.0/16', 'Lead a network through another tunnel'],
  ],
  run: async (invocation, context) => {
    const [text = ''] = invocation.args;
    const { flags, sources } = invocation;
    if (!flags.tunnel && sources.comment === undefined)
      throw new PosternError('usage.invalid', 'Nothing to change: give --tunnel or --comment');
    if (!isUuid(text)) parseNetwork(text);
    const api = await openApi(invocation, context);
    const id = await findRoute(api, text, flags.vnet);
    const route = await api.client.updateIpRoute({
      params: { account: api.account, id },
      body: {
        tunnel_id: flags.tunnel ? await findTunnel(api, flags.tunnel) : undefined,
        comment: sources.comment === undefined ? undefined : flags.comment,
      },
    });
    context.stdout.write(`Successfully updated route for ${route.network}, over tunnel ${route.tunnel_id}\n`);
  },
});
