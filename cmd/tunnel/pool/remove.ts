// `tunnel pool remove POOL MEMBER`.

import { PosternError } from '../../../internal/errors/error.ts';
import { printableLine } from '../../../internal/telemetry/printable.ts';
import { defineCommand } from '../../command.ts';
import { openApi } from '../api.ts';
import { findPool } from './find-pool.ts';

export const command = defineCommand({
  description: 'Takes a member out of a pool. Requests that it has are finished.',
  positionals: [
    { name: 'POOL', description: 'Name or ID of the pool' },
    { name: 'MEMBER', description: 'Name of the member' },
  ],
  flags: [],
  run: async (invocation, context) => {
    const [given = '', name = ''] = invocation.args;
    const api = await openApi(invocation, context);
    const pool = await findPool(api, given);
    const origins = pool.origins.filter(one => one.name !== name);
    if (origins.length === pool.origins.length) {
      const names = pool.origins.map(one => one.name).join(', ') || 'none';
      throw new PosternError('api.not-found', `${pool.name} has no member ${name}; it has ${names}`);
    }
    await api.client.patchPool({ params: { account: api.account, id: pool.id }, body: { origins } });
    context.stdout.write(`Removed ${printableLine(name)} from pool ${printableLine(pool.name)}\n`);
  },
});
