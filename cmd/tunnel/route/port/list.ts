// `tunnel route tcp list` and `tunnel route udp list`: the public ports of the account.

import type { PortProtocol } from '../../../../internal/store/contract/records.ts';
import { type Command, defineCommand } from '../../../command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../../../output.ts';
import { formatSeconds, formatTable } from '../../../table.ts';
import { openApi } from '../../api.ts';
import { leadsTo } from './ports.ts';

export function listPorts(protocol: PortProtocol): Command {
  const upper = protocol.toUpperCase();
  return defineCommand({
    description: `Lists the public ${upper} ports that lead to tunnels, and whether the edge listens on them.`,
    checkArgs: args => (args.length === 0 ? undefined : 'This command takes no arguments'),
    flags: [outputFlag],
    run: async (invocation, context) => {
      const format = parseOutputFormat(invocation.flags.output);
      const api = await openApi(invocation, context);
      const all = await api.client.listPublicPorts({ params: { account: api.account } });
      const shown = all.filter(one => one.protocol === protocol);
      if (format !== undefined) writeFormatted(context, format, shown);
      else if (shown.length === 0)
        context.stdout.write(`No ${upper} ports lead to tunnels: add one with the command route ${protocol}\n`);
      else {
        const rows = shown.map(one => [
          ...[String(one.port), leadsTo(one), one.tunnel_id, one.tunnel_name],
          ...[formatSeconds(one.created_at), one.status],
        ]);
        context.stdout.write(formatTable(['PORT', 'LEADS TO', 'TUNNEL ID', 'TUNNEL NAME', 'CREATED', 'STATUS'], rows));
      }
    },
  });
}
