// `tunnel pool update POOL`.

import { PosternError } from '../../../internal/errors/error.ts';
import { printableLine } from '../../../internal/telemetry/printable.ts';
import { defineCommand } from '../../command.ts';
import { openApi } from '../api.ts';
import { findPool } from './find-pool.ts';
import { steeringFlags, steeringOf } from './steering-flags.ts';

export const command = defineCommand({
  description: 'Changes how a pool spreads requests, its name, or whether it is in use.',
  positionals: [{ name: 'POOL', description: 'Name or ID of the pool' }],
  flags: [
    ...steeringFlags,
    { name: 'name', aliases: ['n'], type: 'string', valueName: 'NAME', description: 'New name' },
    { name: 'enabled', type: 'boolean', description: 'Use the pool (=false: do not)' },
  ],
  run: async (invocation, context) => {
    const [given = ''] = invocation.args;
    const { flags, sources } = invocation;
    const body = {
      ...steeringOf(flags),
      ...(flags.name ? { name: flags.name } : {}),
      ...(sources.enabled === undefined ? {} : { enabled: flags.enabled }),
    };
    if (Object.keys(body).length === 0)
      throw new PosternError('usage.invalid', 'Nothing to change: give --steering, --minimum, --name or --enabled');
    const api = await openApi(invocation, context);
    const { id } = await findPool(api, given);
    const pool = await api.client.patchPool({ params: { account: api.account, id }, body });
    context.stdout.write(`Updated pool ${printableLine(pool.name)}\n`);
  },
});
