// `tunnel route hostname add HOSTNAME TUNNEL [COMMENT]`: leads a private host name through a tunnel, to be resolved at the
// connector.

import { printableLine } from '../../../../internal/telemetry/printable.ts';
import { defineCommand } from '../../../command.ts';
import { openApi } from '../../api.ts';
import { findOptionalNetwork, networkFlag } from '../../find-network.ts';
import { findTunnel } from '../../find-tunnel.ts';

export const command = defineCommand({
  description: 'Leads a private host name through a tunnel. The connector resolves it anew for each connection.',
  positionals: [
    { name: 'HOSTNAME', description: 'Name such as db.internal, or a wildcard such as *.internal' },
    { name: 'TUNNEL', description: 'ID or name of the tunnel' },
    { name: 'COMMENT', description: 'What it is for', optional: true, repeated: true },
  ],
  checkArgs: args =>
    args.length >= 2
      ? undefined
      : 'You must supply at least 2 arguments, first the host name and then the tunnel to proxy with',
  flags: [networkFlag],
  run: async (invocation, context) => {
    const [hostname = '', tunnel = '', ...comment] = invocation.args;
    const api = await openApi(invocation, context);
    const id = await findTunnel(api, tunnel);
    const route = await api.client.addHostnameRoute({
      params: { account: api.account },
      body: {
        hostname,
        tunnel_id: id,
        comment: comment.join(' '),
        virtual_network_id: await findOptionalNetwork(api, invocation.flags.vnet),
      },
    });
    context.stdout.write(`Successfully added route for ${printableLine(route.hostname)} over tunnel ${id}\n`);
  },
});
