// `tunnel route dns list`: the public host names that lead to tunnels.

import { defineCommand } from '../../../command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../../../output.ts';
import { formatSeconds, formatTable } from '../../../table.ts';
import { openApi } from '../../api.ts';
import { listRecords } from './records.ts';

export const command = defineCommand({
  description: 'Lists the public host names in the zone of your credential that lead to tunnels.',
  checkArgs: args => (args.length === 0 ? undefined : 'This command takes no arguments'),
  flags: [outputFlag],
  run: async (invocation, context) => {
    const format = parseOutputFormat(invocation.flags.output);
    const api = await openApi(invocation, context);
    const [records, tunnels] = await Promise.all([
      listRecords(api),
      api.client.listTunnels({ params: { account: api.account }, query: { is_deleted: false } }),
    ]);
    const shown = records.map(({ id, name, tunnelId, comment, created_on: created }) => ({
      ...{ id, hostname: name, tunnel_id: tunnelId },
      tunnel_name: tunnels.find(tunnel => tunnel.id === tunnelId)?.name ?? '',
      ...{ comment: comment ?? '', created_at: created ?? '' },
    }));
    if (format !== undefined) writeFormatted(context, format, shown);
    else if (shown.length === 0)
      context.stdout.write("No host names lead to tunnels: add one with 'postern tunnel route dns'\n");
    else {
      const rows = shown.map(one => [
        ...[one.hostname, one.tunnel_id, one.tunnel_name, formatSeconds(one.created_at), one.comment],
      ]);
      context.stdout.write(formatTable(['HOSTNAME', 'TUNNEL ID', 'TUNNEL NAME', 'CREATED', 'COMMENT'], rows));
    }
  },
});
