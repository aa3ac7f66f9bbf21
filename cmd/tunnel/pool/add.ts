// `tunnel pool add POOL ORIGIN`: a tunnel, a host name, or an address or name of a virtual network.

import { isIP } from 'node:net';
import { PosternError } from '../../../internal/errors/error.ts';
import { isUuid } from '../../../internal/schema/api/id.ts';
import { printableLine } from '../../../internal/telemetry/printable.ts';
import { defineCommand } from '../../command.ts';
import { type ApiSession, openApi } from '../api.ts';
import { findOptionalNetwork, networkFlag } from '../find-network.ts';
import { findTunnel } from '../find-tunnel.ts';
import { findPool } from './find-pool.ts';

export const command = defineCommand({
  description:
    'Puts an origin into a pool: a tunnel by ID or name, a host name that leads to a tunnel of yours, or an address of a virtual network (with --vnet also a name there). A member of that name is replaced.',
  positionals: [
    { name: 'POOL', description: 'Name or ID of the pool' },
    { name: 'ORIGIN', description: 'Tunnel, host name, or private address' },
  ],
  flags: [
    {
      name: 'name',
      aliases: ['n'],
      type: 'string',
      valueName: 'NAME',
      description: 'Name of the member; default: as given',
    },
    {
      ...{ name: 'weight', aliases: ['w'], type: 'number', valueName: '0..1', default: 1 },
      description: 'Its share of requests; 0: none',
      check: value => (typeof value === 'number' && value >= 0 && value <= 1 ? undefined : 'is not between 0 and 1'),
    },
    { name: 'port', type: 'integer', valueName: 'PORT', description: 'Port of a private origin; default: 80' },
    {
      name: 'host-header',
      type: 'string',
      valueName: 'HOST',
      description: 'Ask for this host instead of the visitor’s',
    },
    { name: 'enabled', type: 'boolean', description: 'Use it (=false: keep it out)' },
    networkFlag,
  ],
  examples: [
    ['postern tunnel pool add web home --weight 0.5', 'half as many requests as a member of weight 1'],
    ['postern tunnel pool add web 10.0.0.7 --port 8080 --vnet office', 'a private origin'],
  ],
  run: async (invocation, context) => {
    const [given = '', origin = ''] = invocation.args;
    const { flags, sources } = invocation;
    const api = await openApi(invocation, context);
    const pool = await findPool(api, given);
    const name = flags.name || origin;
    const member = {
      ...{ name, address: await addressOf(api, origin, flags.vnet), weight: flags.weight, port: flags.port ?? 0 },
      enabled: sources.enabled === undefined ? true : flags.enabled,
      header: flags.hostHeader ? { Host: [flags.hostHeader] } : {},
      virtual_network_id: await findOptionalNetwork(api, flags.vnet),
    };
    const others = pool.origins.filter(one => one.name !== name);
    await api.client.patchPool({
      params: { account: api.account, id: pool.id },
      body: { origins: [...others, member] },
    });
    const what = others.length < pool.origins.length ? 'Changed' : 'Added';
    context.stdout.write(`${what} ${printableLine(name)} in pool ${printableLine(pool.name)}\n`);
  },
});

/** A private address is sent as typed; of names a tunnel's comes first. Throws 'api.not-found'. */
async function addressOf(api: ApiSession, origin: string, vnet: string | undefined): Promise<string> {
  if (isIP(origin) !== 0 || vnet || isUuid(origin)) return origin;
  try {
    return await findTunnel(api, origin);
  } catch (error) {
    // The edge says what it thinks of a host name.
    if (error instanceof PosternError && error.code === 'api.not-found' && origin.includes('.')) return origin;
    throw error;
  }
}
