// `tunnel route ip show`: the private routes of the account. Source: docs/protocol/commands-and-api.md §5.5, §9.5;
// unlike  cloudflared --filter-network-is-subset-of asks for what its name says.

import { PosternError } from '../../../../internal/errors/error.ts';
import { isUuid } from '../../../../internal/schema/api/id.ts';
import { defineCommand } from '../../../command.ts';
import { outputFlag, parseOutputFormat, writePrinted } from '../../../output.ts';
import { printIpRoutes } from '../../../printed/private-documents.ts';
import { openApi } from '../../api.ts';
import { findOptionalNetwork } from '../../find-network.ts';
import { parseNetwork } from './parse-network.ts';
import { formatRoutes } from './route-table-text.ts';

export const command = defineCommand({
  description: 'Lists the private routes of the account.',
  flags: [
    outputFlag,
    { name: 'filter-is-deleted', type: 'boolean', description: 'Only deleted routes; by default only live ones' },
    { name: 'filter-tunnel-id', type: 'string', valueName: 'UUID', description: 'Only routes over this tunnel' },
    {
      name: 'filter-network-is-subset-of',
      aliases: ['nsub'],
      type: 'string',
      valueName: 'CIDR',
      description: 'Only routes whose network lies in this one',
    },
    {
      name: 'filter-network-is-superset-of',
      aliases: ['nsup'],
      type: 'string',
      valueName: 'CIDR',
      description: 'Only routes whose network contains this one',
    },
    { name: 'filter-comment-is', type: 'string', valueName: 'TEXT', description: 'Only routes with this comment' },
    {
      name: 'filter-vnet-id',
      type: 'string',
      valueName: 'ID-OR-NAME',
      description: 'Only routes of this virtual network',
    },
  ],
  run: async (invocation, context) => {
    const { flags } = invocation;
    const format = parseOutputFormat(flags.output);
    const tunnelId = flags.filterTunnelId || undefined;
    if (tunnelId !== undefined && !isUuid(tunnelId)) {
      throw new PosternError('usage.invalid', `${tunnelId} is not a valid tunnel ID`);
    }
    const subset = flags.filterNetworkIsSubsetOf ? parseNetwork(flags.filterNetworkIsSubsetOf) : undefined;
    const superset = flags.filterNetworkIsSupersetOf ? parseNetwork(flags.filterNetworkIsSupersetOf) : undefined;
    const api = await openApi(invocation, context);
    const routes = await api.client.listIpRoutes({
      params: { account: api.account },
      query: {
        tun_types: 'cfd_tunnel',
        is_deleted: flags.filterIsDeleted,
        tunnel_id: tunnelId,
        network_subset: subset,
        network_superset: superset,
        comment: flags.filterCommentIs || undefined,
        virtual_network_id: await findOptionalNetwork(api, flags.filterVnetId),
      },
    });
    if (format !== undefined) writePrinted(context, format, printIpRoutes(routes));
    else if (routes.length > 0) context.stdout.write(formatRoutes(routes));
    else {
      context.stdout.write(
        "No routes were found for the given filter flags. You can use 'postern tunnel route ip add' to add a route.\n",
      );
    }
  },
});
