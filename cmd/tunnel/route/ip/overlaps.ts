// `tunnel route ip overlaps [CIDR]`: which private routes lie in others, in the same virtual network or another.

import { parsePrefix, prefixCovers } from '../../../../internal/net/address/prefix.ts';
import { findOverlaps } from '../../../../internal/private-network/routes/route-questions.ts';
import { defineCommand } from '../../../command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../../../output.ts';
import { formatTable } from '../../../table.ts';
import { openApi } from '../../api.ts';
import { listNamedRoutes, showNamedRoute } from './named-routes.ts';
import { parseNetwork } from './parse-network.ts';

export const command = defineCommand({
  description:
    'Lists private routes that lie in others. In one virtual network the narrower one wins; in two they are apart, and clients choose the network.',
  positionals: [{ name: 'CIDR', description: 'Only overlaps that touch this network', optional: true }],
  checkArgs: args => (args.length <= 1 ? undefined : 'You may give one argument, a network in CIDR form'),
  flags: [outputFlag],
  run: async (invocation, context) => {
    const format = parseOutputFormat(invocation.flags.output);
    const [text] = invocation.args;
    const asked = text === undefined ? undefined : parsePrefix(parseNetwork(text));
    const touches = (network: string): boolean => {
      const prefix = parsePrefix(network);
      return (
        asked === undefined || (prefix !== undefined && (prefixCovers(asked, prefix) || prefixCovers(prefix, asked)))
      );
    };
    const routes = await listNamedRoutes(await openApi(invocation, context));
    const overlaps = findOverlaps(routes).filter(({ inner }) => touches(inner.network));
    if (format !== undefined) {
      const shown = overlaps.map(({ inner, outer }) => ({
        inner: showNamedRoute(inner),
        outer: showNamedRoute(outer),
      }));
      writeFormatted(context, format, shown);
    } else if (overlaps.length === 0) context.stdout.write('No private routes overlap\n');
    else {
      const rows = overlaps.map(({ inner, outer }) => [
        ...[inner.network, inner.networkName, inner.tunnel_name],
        ...[outer.network, outer.networkName, outer.tunnel_name],
      ]);
      const header = ['NETWORK', 'VIRTUAL NET', 'TUNNEL', 'LIES IN', 'VIRTUAL NET', 'TUNNEL'];
      context.stdout.write(formatTable(header, rows));
    }
  },
});
