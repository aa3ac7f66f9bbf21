// `tunnel pool create NAME`.

import { printableLine } from '../../../internal/telemetry/printable.ts';
import { defineCommand } from '../../command.ts';
import { openApi } from '../api.ts';
import { steeringFlags, steeringOf } from './steering-flags.ts';

export const command = defineCommand({
  description: 'Makes a pool without members: postern tunnel pool add puts them in.',
  positionals: [{ name: 'NAME', description: 'Name of the pool' }],
  flags: steeringFlags,
  run: async (invocation, context) => {
    const [name = ''] = invocation.args;
    const fields = steeringOf(invocation.flags);
    const api = await openApi(invocation, context);
    const pool = await api.client.createPool({ params: { account: api.account }, body: { name, ...fields } });
    context.stdout.write(`Created pool ${printableLine(pool.name)} with ID ${pool.id}\n`);
  },
});
