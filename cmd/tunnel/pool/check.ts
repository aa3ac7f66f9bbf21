// `tunnel pool check POOL`: sets the health check of a pool, or ends it.

import { printableLine } from '../../../internal/telemetry/printable.ts';
import { defineCommand } from '../../command.ts';
import { openApi } from '../api.ts';
import { findPool } from './find-pool.ts';

export const command = defineCommand({
  description:
    'Asks each member of a pool through its tunnel how it is. Members that fail get no requests until they are well again.',
  positionals: [{ name: 'POOL', description: 'Name or ID of the pool' }],
  flags: [
    { name: 'off', type: 'boolean', description: 'Check no more' },
    {
      name: 'type',
      type: 'string',
      valueName: 'http|tcp',
      default: 'http',
      description: 'HTTP request, or connection alone',
    },
    { name: 'path', type: 'string', valueName: 'PATH', default: '/', description: 'Path that is asked for' },
    { name: 'host-header', type: 'string', valueName: 'HOST', description: 'Host that is asked for' },
    { name: 'interval', type: 'duration', default: '10s', description: 'Time from one check to the next' },
    { name: 'timeout', type: 'duration', default: '5s', description: 'How long an answer may take' },
    {
      name: 'codes',
      type: 'string',
      valueName: 'CODES',
      default: '2xx',
      description: 'Good ones: 2xx, 200-204 or 200,301',
    },
    { name: 'body', type: 'string', valueName: 'TEXT', description: 'Text that a good answer holds' },
    { name: 'down-after', type: 'integer', default: 2, description: 'Checks in a row that fail before it counts' },
    { name: 'up-after', type: 'integer', default: 2, description: 'Checks in a row that succeed before it counts' },
  ],
  run: async (invocation, context) => {
    const [given = ''] = invocation.args;
    const { flags } = invocation;
    const api = await openApi(invocation, context);
    const params = { account: api.account };
    const { id, monitor, name } = await findPool(api, given);
    const pool = { params: { ...params, id } };
    const removeOld = async (): Promise<void> => {
      if (monitor === '' || (await api.client.listPools({ params, query: { monitor } })).length > 0) return;
      await api.client.deleteMonitor({ params: { ...params, id: monitor } });
    };
    if (flags.off) {
      await api.client.patchPool({ ...pool, body: { monitor: '' } });
      await removeOld();
      context.stdout.write(`Members of pool ${printableLine(name)} are checked no more\n`);
      return;
    }
    const made = await api.client.createMonitor({
      params,
      body: {
        // The edge refuses any other.
        type: flags.type as 'http' | 'tcp',
        path: flags.path,
        header: flags.hostHeader ? { Host: [flags.hostHeader] } : {},
        interval: Math.round(flags.intervalMs / 1000),
        timeout: Math.round(flags.timeoutMs / 1000),
        expected_codes: flags.codes,
        expected_body: flags.body ?? '',
        consecutive_down: flags.downAfter,
        consecutive_up: flags.upAfter,
      },
    });
    await api.client.patchPool({ ...pool, body: { monitor: made.id } });
    await removeOld();
    context.stdout.write(`Members of pool ${printableLine(name)} are checked every ${made.interval} s\n`);
  },
});
