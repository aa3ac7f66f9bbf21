// `tunnel pool health POOL`.

import { defineCommand } from '../../command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../../output.ts';
import { formatTable } from '../../table.ts';
import { openApi } from '../api.ts';
import { findPool } from './find-pool.ts';

export const command = defineCommand({
  description: 'Shows how the members of a pool are, as the edge that is asked sees them.',
  positionals: [{ name: 'POOL', description: 'Name or ID of the pool' }],
  flags: [outputFlag],
  run: async (invocation, context) => {
    const format = parseOutputFormat(invocation.flags.output);
    const [given = ''] = invocation.args;
    const api = await openApi(invocation, context);
    const { id } = await findPool(api, given);
    const health = await api.client.getPoolHealth({ params: { account: api.account, id } });
    if (format !== undefined) {
      writeFormatted(context, format, health);
      return;
    }
    const rows = Object.entries(health.pop_health).flatMap(([place, { origins }]) =>
      origins
        .flatMap(Object.entries)
        .map(([address, one]: [string, (typeof origins)[number][string]]) => [
          ...[place, one.name, address, one.healthy ? 'up' : 'down', `${one.healthy_replicas}/${one.replicas}`],
          ...[one.rtt, String(one.outstanding), one.failure_reason || '-'],
        ]),
    );
    const header = ['EDGE', 'MEMBER', 'ADDRESS', 'HEALTH', 'CONNECTORS', 'CHECK TOOK', 'REQUESTS', 'WHY'];
    context.stdout.write(formatTable(header, rows));
  },
});
