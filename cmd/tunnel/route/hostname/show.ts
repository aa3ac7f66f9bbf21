// `tunnel route hostname show`: the private host names of the account.

import { defineCommand } from '../../../command.ts';
import { outputFlag, parseOutputFormat, writePrinted } from '../../../output.ts';
import { printPrivateHostnames } from '../../../printed/private-documents.ts';
import { formatSeconds, formatTable } from '../../../table.ts';
import { openApi } from '../../api.ts';
import { findOptionalNetwork, networkFlag } from '../../find-network.ts';

export const command = defineCommand({
  description: 'Lists the private host names that lead through tunnels.',
  flags: [
    outputFlag,
    { ...networkFlag, description: 'Only names of this virtual network' },
    { name: 'filter-is-deleted', type: 'boolean', description: 'Only deleted routes; by default only live ones' },
  ],
  run: async (invocation, context) => {
    const format = parseOutputFormat(invocation.flags.output);
    const api = await openApi(invocation, context);
    const routes = await api.client.listHostnameRoutes({
      params: { account: api.account },
      query: {
        is_deleted: invocation.flags.filterIsDeleted,
        virtual_network_id: await findOptionalNetwork(api, invocation.flags.vnet),
      },
    });
    if (format !== undefined) {
      writePrinted(context, format, printPrivateHostnames(routes));
      return;
    }
    if (routes.length === 0) {
      context.stdout.write("No routes were found. You can use 'postern tunnel route hostname add' to add a route.\n");
      return;
    }
    const rows = routes.map(route => [
      route.id,
      route.hostname,
      route.virtual_network_id ?? 'default',
      route.comment,
      route.tunnel_id,
      route.tunnel_name,
      formatSeconds(route.created_at),
      route.deleted_at === null ? '-' : formatSeconds(route.deleted_at),
    ]);
    const header = ['ID', 'HOSTNAME', 'VIRTUAL NET ID', 'COMMENT', 'TUNNEL ID', 'TUNNEL NAME', 'CREATED', 'DELETED'];
    context.stdout.write(formatTable(header, rows));
  },
});
