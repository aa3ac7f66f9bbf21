// `tunnel route ip delete ROUTE-ID|CIDR`. Source: docs/protocol/commands-and-api.md §5.5, §9.5.

import { PosternError } from '../../../../internal/errors/error.ts';
import { isUuid } from '../../../../internal/schema/api-id.ts';
import { defineCommand } from '../../../command.ts';
import { type ApiSession, openApi } from '../../api.ts';
import { findOptionalNetwork, networkFlag } from '../../find-network.ts';
import { parseNetwork } from './parse-network.ts';

export const command = defineCommand({
  description: 'Deletes a private route, named by its ID or by its network.',
  positionals: [{ name: 'ROUTE', description: 'ID of the route, or its network in CIDR form' }],
  checkArgs: args =>
    args.length === 1
      ? undefined
      : 'You must supply exactly one argument, the ID or the network of the route to delete',
  flags: [networkFlag],
  run: async (invocation, context) => {
    const [text = ''] = invocation.args;
    const network = isUuid(text) ? undefined : parseNetwork(text);
    const api = await openApi(invocation, context);
    const vnet = await findOptionalNetwork(api, invocation.flags.vnet);
    const id = network === undefined ? text.toLowerCase() : await findRoute(api, network, vnet);
    await api.client.deleteIpRoute({ params: { account: api.account, id } });
    context.stdout.write(`Successfully deleted route with ID ${id}\n`);
  },
});

/** The one live route of exactly this network: subset and superset of it at once. */
async function findRoute(api: ApiSession, network: string, vnet: string | undefined): Promise<string> {
  const found = await api.client.listIpRoutes({
    params: { account: api.account },
    query: {
      tun_types: 'cfd_tunnel',
      is_deleted: false,
      network_subset: network,
      network_superset: network,
      virtual_network_id: vnet,
    },
  });
  const [route] = found;
  if (route !== undefined && found.length === 1) return route.id;
  const why = found.length === 0 ? '' : `: ${found.length} virtual networks have one, name it with --vnet`;
  throw new PosternError('api.not-found', `unable to find route for provided network and vnet${why}`);
}
