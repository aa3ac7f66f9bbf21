// `tunnel route ip get IP`: which route an address takes. Source: docs/protocol/commands-and-api.md §5.5, §9.5.

import { PosternError } from '../../../../internal/errors/error.ts';
import { formatIp, parseIp } from '../../../../internal/net/address/ip.ts';
import { formatPrefix } from '../../../../internal/net/address/prefix.ts';
import { explainBlock } from '../../../../internal/private-network/routes/route-questions.ts';
import { defineCommand } from '../../../command.ts';
import { outputFlag, parseOutputFormat, writeFormatted, writePrinted } from '../../../output.ts';
import { printIpRoute, printIpRoutes } from '../../../printed/private-documents.ts';
import { formatTable } from '../../../table.ts';
import { openApi } from '../../api.ts';
import { findOptionalNetwork, networkFlag } from '../../find-network.ts';
import { listNamedRoutes } from './named-routes.ts';
import { formatRoutes } from './route-table-text.ts';

const noTunnel = '00000000-0000-0000-0000-000000000000';

export const command = defineCommand({
  description: 'Shows the private route that an address takes: the one with the longest prefix.',
  positionals: [{ name: 'IP', description: 'Address' }],
  checkArgs: args =>
    args.length === 1
      ? undefined
      : 'You must supply exactly one argument, an IP whose route will be queried (e.g. 1.2.3.4 or 2001:db8::7)',
  flags: [
    outputFlag,
    networkFlag,
    { name: 'all-vnets', type: 'boolean', description: 'Show the route in every virtual network that has one' },
  ],
  run: async (invocation, context) => {
    const format = parseOutputFormat(invocation.flags.output);
    const address = parseIp(invocation.args[0] ?? '');
    if (address === undefined) {
      throw new PosternError('usage.invalid', `Invalid IP ${JSON.stringify(invocation.args[0])}`);
    }
    const ip = formatIp(address);
    const api = await openApi(invocation, context);
    if (invocation.flags.allVnets) {
      if (invocation.flags.vnet)
        throw new PosternError('usage.invalid', '--vnet and --all-vnets exclude each other: give one of them');
      const block = { bytes: address, bits: address.length * 8 };
      const answers = explainBlock(block, await listNamedRoutes(api, formatPrefix(block)));
      const found = answers.flatMap(({ covering }) => covering ?? []);
      if (format !== undefined) writePrinted(context, format, printIpRoutes(found));
      else if (found.length === 0) context.stdout.write(`No route matches the IP ${ip}\n`);
      else {
        const rows = found.map(route => [route.networkName, route.network, route.tunnel_id ?? '', route.tunnel_name]);
        context.stdout.write(formatTable(['VIRTUAL NET', 'NETWORK', 'TUNNEL ID', 'TUNNEL NAME'], rows));
      }
      return;
    }
    const route = await api.client.getIpRoute({
      params: { account: api.account, ip },
      query: { virtual_network_id: await findOptionalNetwork(api, invocation.flags.vnet) },
    });
    const matches = route?.tunnel_id !== undefined && route.tunnel_id !== noTunnel;
    if (!matches) {
      if (format === undefined) context.stdout.write(`No route matches the IP ${ip}\n`);
      else writeFormatted(context, format, null);
    } else if (format === undefined) context.stdout.write(formatRoutes([route]));
    else writePrinted(context, format, printIpRoute(route));
  },
});
