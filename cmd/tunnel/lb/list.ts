// `tunnel lb list`.

import { defineCommand } from '../../command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../../output.ts';
import { formatTable } from '../../table.ts';
import { openApi } from '../api.ts';

export const command = defineCommand({
  description: 'Lists the load balancers of the zone with their pools.',
  flags: [outputFlag],
  run: async (invocation, context) => {
    const format = parseOutputFormat(invocation.flags.output);
    const api = await openApi(invocation, context);
    const balancers = await api.client.listBalancers({ params: { zone: api.cert.zoneId } });
    if (format !== undefined) {
      writeFormatted(context, format, balancers);
      return;
    }
    if (balancers.length === 0) {
      context.stdout.write('There are no load balancers. postern tunnel route lb TUNNEL HOSTNAME POOL makes one.\n');
      return;
    }
    const pools = await api.client.listPools({ params: { account: api.account } });
    const nameOf = (id: string): string => pools.find(pool => pool.id === id)?.name ?? id;
    const rows = balancers.map(one => [
      ...[one.id, one.name, String(one.enabled), one.steering_policy || 'off', one.session_affinity],
      ...[one.default_pools.map(nameOf).join(', ') || '-', nameOf(one.fallback_pool)],
    ]);
    const header = ['ID', 'HOSTNAME', 'ENABLED', 'STEERING', 'AFFINITY', 'POOLS', 'FALLBACK'];
    context.stdout.write(formatTable(header, rows));
  },
});
