// `tunnel lb update HOSTNAME`.

import { PosternError } from '../../../internal/errors/error.ts';
import { printableLine } from '../../../internal/telemetry/printable.ts';
import { defineCommand } from '../../command.ts';
import { openApi } from '../api.ts';
import { findPool } from '../pool/find-pool.ts';
import { balancerFieldsOf, balancerFlags } from './balancer-flags.ts';
import { findBalancer, findPools } from './find-balancer.ts';

export const command = defineCommand({
  description: 'Changes how a load balancer spreads requests, its pools, or whether it is in use.',
  positionals: [{ name: 'HOSTNAME', description: 'Host name or ID of the load balancer' }],
  flags: [
    ...balancerFlags,
    {
      name: 'pool',
      type: 'list',
      valueName: 'POOL',
      description: 'Pools in their order, in the place of those it has',
    },
    { name: 'enabled', type: 'boolean', description: 'Use it (=false: the name leads where tunnel route dns says)' },
  ],
  run: async (invocation, context) => {
    const [given = ''] = invocation.args;
    const { flags, sources } = invocation;
    const fields = balancerFieldsOf(flags);
    const api = await openApi(invocation, context);
    const body = {
      ...fields,
      ...(flags.pool.length > 0 ? { default_pools: [...(await findPools(api, flags.pool))] } : {}),
      ...(flags.fallback ? { fallback_pool: (await findPool(api, flags.fallback)).id } : {}),
      ...(sources.enabled === undefined ? {} : { enabled: flags.enabled }),
    };
    if (Object.keys(body).length === 0)
      throw new PosternError(
        'usage.invalid',
        'Nothing to change: give --steering, --affinity, --affinity-ttl, --pool, --fallback or --enabled',
      );
    const { id } = await findBalancer(api, given);
    const changed = await api.client.patchBalancer({ params: { zone: api.cert.zoneId, id }, body });
    context.stdout.write(`Updated load balancer ${printableLine(changed.name)}\n`);
  },
});
