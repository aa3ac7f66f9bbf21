// `tunnel pool delete POOL`.

import { printableLine } from '../../../internal/telemetry/printable.ts';
import { defineCommand } from '../../command.ts';
import { openApi } from '../api.ts';
import { findPool } from './find-pool.ts';

export const command = defineCommand({
  description: 'Deletes a pool that no load balancer uses, and its health check.',
  positionals: [{ name: 'POOL', description: 'Name or ID of the pool' }],
  flags: [],
  run: async (invocation, context) => {
    const [given = ''] = invocation.args;
    const api = await openApi(invocation, context);
    const { id, monitor, name } = await findPool(api, given);
    const account = { account: api.account };
    await api.client.deletePool({ params: { ...account, id } });
    const isShared = monitor === '' || (await api.client.listPools({ params: account, query: { monitor } })).length > 0;
    if (!isShared) await api.client.deleteMonitor({ params: { ...account, id: monitor } });
    context.stdout.write(`Deleted pool ${printableLine(name)}\n`);
  },
});
