// `tunnel route lb TUNNEL HOSTNAME POOL`: makes a tunnel a member of a pool that a load balancer spreads a host name over.
// Source: docs/protocol/commands-and-api.md §5.5, §9.4.

import { PosternError } from '../../../internal/errors/error.ts';
import { defineCommand } from '../../command.ts';
import { openLogger } from '../../logging.ts';
import { openApi } from '../api.ts';
import { findTunnel } from '../find-tunnel.ts';
import { isHostname } from './hostname-text.ts';

type Change = 'new' | 'updated' | 'unchanged';

export const command = defineCommand({
  description:
    'Leads a public host name to a pool of tunnels and makes this tunnel a member, creating load balancer and pool if they are missing. postern tunnel lb and postern tunnel pool change them.',
  positionals: [
    { name: 'TUNNEL', description: 'ID or name of the tunnel' },
    { name: 'HOSTNAME', description: 'Host name of the load balancer' },
    { name: 'POOL', description: 'Name of the pool' },
  ],
  checkArgs: args => {
    if (args.length !== 3)
      return 'This command expects the format "postern tunnel route lb <tunnel name/id> <hostname> <load balancer pool>"';
    if (args[1] === '') return 'The third argument should be the load balancer name';
    return args[2] === '' ? 'The fourth argument should be the pool name' : undefined;
  },
  flags: [],
  run: async (invocation, context) => {
    const [tunnel = '', hostname = '', pool = ''] = invocation.args;
    if (!isHostname(hostname))
      throw new PosternError('usage.invalid', `${hostname} is not a valid load balancer name: give a host name alone`);
    if (!/^[_a-zA-Z0-9][-_.a-zA-Z0-9]*$/.test(pool))
      throw new PosternError(
        'usage.invalid',
        `${pool} is not a valid pool name: use letters, digits, "-", "_" and "."`,
      );
    const api = await openApi(invocation, context);
    const id = await findTunnel(api, tunnel);
    const result = await api.client.addRoute({
      params: { zone: api.cert.zoneId, id },
      body: { type: 'lb', lb_name: hostname, lb_pool: pool },
    });
    await using log = await openLogger(context, api.logSettings);
    log.logger.info({ tunnelID: id }, describe(hostname, pool, result.load_balancer, result.pool));
  },
});

function describe(name: string, pool: string, balancerChange: Change | undefined, poolChange: Change | undefined) {
  const texts: Readonly<Record<string, string>> = {
    'new new': `Created load balancer ${name} and added a new pool ${pool} with this tunnel as an origin`,
    'new updated': `Created load balancer ${name} with an existing pool ${pool} which was updated to use this tunnel as an origin`,
    'new unchanged': `Created load balancer ${name} with an existing pool ${pool} which already has this tunnel as an origin`,
    'updated new': `Added new pool ${pool} with this tunnel as an origin to load balancer ${name}`,
    'updated updated': `Updated pool ${pool} to use this tunnel as an origin and added it to load balancer ${name}`,
    'updated unchanged': `Added pool ${pool}, which already has this tunnel as an origin, to load balancer ${name}`,
    'unchanged updated': `Added this tunnel as an origin in pool ${pool} which is already used by load balancer ${name}`,
    'unchanged unchanged': `Load balancer ${name} already uses pool ${pool} which has this tunnel as an origin`,
  };
  return (
    texts[`${balancerChange} ${poolChange}`] ??
    `Something went wrong: failed to modify load balancer ${name} with pool ${pool}; please check traffic manager configuration in the dashboard`
  );
}
