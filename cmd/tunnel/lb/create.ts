// `tunnel lb create HOSTNAME POOL…`.

import { PosternError } from '../../../internal/errors/error.ts';
import { printableLine } from '../../../internal/telemetry/printable.ts';
import { defineCommand } from '../../command.ts';
import { openApi } from '../api.ts';
import { findPool } from '../pool/find-pool.ts';
import { isHostname } from '../route/hostname-text.ts';
import { balancerFieldsOf, balancerFlags } from './balancer-flags.ts';
import { findPools } from './find-balancer.ts';

export const command = defineCommand({
  description: 'Spreads the requests for a host name over pools, in the order given.',
  positionals: [
    { name: 'HOSTNAME', description: 'Host name in the zone of your credential' },
    { name: 'POOL', description: 'Name or ID of a pool', repeated: true },
  ],
  checkArgs: args => (args.length >= 2 ? undefined : 'Give the host name, and then at least one pool'),
  flags: balancerFlags,
  examples: [
    ['postern tunnel lb create app.example.com main spare --affinity cookie', 'spare serves when main is down'],
  ],
  run: async (invocation, context) => {
    const [hostname = '', ...names] = invocation.args;
    const { flags } = invocation;
    if (!isHostname(hostname)) throw new PosternError('usage.invalid', `${hostname} is not a valid host name`);
    const fields = balancerFieldsOf(flags);
    const api = await openApi(invocation, context);
    const ids = await findPools(api, names);
    const fallback = flags.fallback ? (await findPool(api, flags.fallback)).id : (ids.at(-1) ?? '');
    const made = await api.client.createBalancer({
      params: { zone: api.cert.zoneId },
      body: { name: hostname, default_pools: [...ids], fallback_pool: fallback, ...fields },
    });
    context.stdout.write(`Created load balancer ${printableLine(made.name)} with ID ${made.id}\n`);
  },
});
