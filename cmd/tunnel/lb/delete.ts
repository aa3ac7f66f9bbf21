// `tunnel lb delete HOSTNAME`.

import { printableLine } from '../../../internal/telemetry/printable.ts';
import { defineCommand } from '../../command.ts';
import { openApi } from '../api.ts';
import { findBalancer } from './find-balancer.ts';

export const command = defineCommand({
  description: 'Deletes a load balancer; its pools stay. The name leads where tunnel route dns says, if anywhere.',
  positionals: [{ name: 'HOSTNAME', description: 'Host name or ID of the load balancer' }],
  flags: [],
  run: async (invocation, context) => {
    const [given = ''] = invocation.args;
    const api = await openApi(invocation, context);
    const { id, name } = await findBalancer(api, given);
    await api.client.deleteBalancer({ params: { zone: api.cert.zoneId, id } });
    context.stdout.write(`Deleted load balancer ${printableLine(name)}\n`);
  },
});
