// `tunnel pool list`.

import { defineCommand } from '../../command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../../output.ts';
import { formatTable } from '../../table.ts';
import { openApi } from '../api.ts';

export const command = defineCommand({
  description: 'Lists the pools of the account with their members.',
  flags: [outputFlag],
  run: async (invocation, context) => {
    const format = parseOutputFormat(invocation.flags.output);
    const api = await openApi(invocation, context);
    const pools = await api.client.listPools({ params: { account: api.account } });
    if (format !== undefined) {
      writeFormatted(context, format, pools);
      return;
    }
    if (pools.length === 0) {
      context.stdout.write('There are no pools. postern tunnel pool create NAME makes one.\n');
      return;
    }
    const rows = pools.map(pool => [
      ...[pool.id, pool.name, String(pool.enabled), pool.origin_steering.policy, pool.monitor === '' ? 'no' : 'yes'],
      pool.origins.map(one => `${one.name}${one.enabled ? '' : ' (off)'} ${one.weight}`).join(', ') || '-',
    ]);
    context.stdout.write(formatTable(['ID', 'NAME', 'ENABLED', 'STEERING', 'CHECKED', 'MEMBERS AND WEIGHTS'], rows));
  },
});
