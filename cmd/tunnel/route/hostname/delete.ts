// `tunnel route hostname delete ROUTE-ID|HOSTNAME`.

import { PosternError } from '../../../../internal/errors/error.ts';
import { isUuid } from '../../../../internal/schema/api/id.ts';
import { defineCommand } from '../../../command.ts';
import { type ApiSession, openApi } from '../../api.ts';
import { findOptionalNetwork, networkFlag } from '../../find-network.ts';

export const command = defineCommand({
  description: 'Deletes the route of a private host name, named by its ID or by the name.',
  positionals: [{ name: 'ROUTE', description: 'ID of the route, or its host name' }],
  checkArgs: args =>
    args.length === 1
      ? undefined
      : 'You must supply exactly one argument, the ID or the host name of the route to delete',
  flags: [networkFlag],
  run: async (invocation, context) => {
    const [text = ''] = invocation.args;
    const api = await openApi(invocation, context);
    const vnet = await findOptionalNetwork(api, invocation.flags.vnet);
    const id = isUuid(text) ? text.toLowerCase() : await findRoute(api, text, vnet);
    await api.client.deleteHostnameRoute({ params: { account: api.account, id } });
    context.stdout.write(`Successfully deleted route with ID ${id}\n`);
  },
});

async function findRoute(api: ApiSession, hostname: string, vnet: string | undefined): Promise<string> {
  const wanted = hostname.toLowerCase().replace(/\.$/, '');
  const listed = await api.client.listHostnameRoutes({
    params: { account: api.account },
    query: { hostname: wanted, is_deleted: false, virtual_network_id: vnet },
  });
  // The API also gives names that hold this one.
  const found = listed.filter(route => route.hostname === wanted);
  const [route] = found;
  if (route !== undefined && found.length === 1) return route.id;
  const why = found.length === 0 ? '' : `: ${found.length} virtual networks have one, name it with --vnet`;
  throw new PosternError('api.not-found', `unable to find route for provided host name and vnet${why}`);
}
