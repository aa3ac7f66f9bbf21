// `tunnel route ip add CIDR TUNNEL [COMMENT]`. Source: docs/protocol/commands-and-api.md §5.5.

import { defineCommand } from '../../../command.ts';
import { openApi } from '../../api.ts';
import { findOptionalNetwork, networkFlag } from '../../find-network.ts';
import { findTunnel } from '../../find-tunnel.ts';
import { parseNetwork } from './parse-network.ts';

export const command = defineCommand({
  description: 'Leads a private network, or one address of it, through a tunnel.',
  positionals: [
    { name: 'CIDR', description: 'Network, such as 10.0.0.0/8 or 192.0.2.7/32' },
    { name: 'TUNNEL', description: 'ID or name of the tunnel' },
    { name: 'COMMENT', description: 'What it is for', optional: true, repeated: true },
  ],
  checkArgs: args =>
    args.length >= 2
      ? undefined
      : 'You must supply at least 2 arguments, first the network you wish to route (in CIDR form e.g. 1.2.3.4/32) and then the tunnel ID to proxy with',
  flags: [networkFlag],
  run: async (invocation, context) => {
    const [cidr = '', tunnel = '', ...comment] = invocation.args;
    const network = parseNetwork(cidr);
    const api = await openApi(invocation, context);
    const id = await findTunnel(api, tunnel);
    await api.client.addIpRoute({
      params: { account: api.account },
      body: {
        network,
        tunnel_id: id,
        comment: comment.join(' '),
        virtual_network_id: await findOptionalNetwork(api, invocation.flags.vnet),
      },
    });
    context.stdout.write(`Successfully added route for ${network} over tunnel ${id}\n`);
  },
});
