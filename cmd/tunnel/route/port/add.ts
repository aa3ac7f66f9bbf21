// `tunnel route tcp PORT TUNNEL` and `tunnel route udp PORT TUNNEL`: leads a public port of the edge to a tunnel.

import type { Flag } from '../../../../internal/config/flag.ts';
import { PosternError } from '../../../../internal/errors/error.ts';
import type { PortProtocol } from '../../../../internal/store/contract/records.ts';
import { type Command, defineCommand } from '../../../command.ts';
import { openApi } from '../../api.ts';
import { findTunnel } from '../../find-tunnel.ts';
import { leadsTo } from './ports.ts';

const targetFlag = {
  name: 'to',
  type: 'string',
  valueName: 'HOST:PORT',
  description: 'What the connector dials, such as 10.0.0.5:5432',
} as const satisfies Flag;

const hostnameFlag = {
  name: 'hostname',
  type: 'string',
  valueName: 'NAME',
  description:
    'Host name that chooses the ingress rule at the connector; default: tcp-PORT, which a catch-all rule takes',
} as const satisfies Flag;

const sharedFlags = [
  {
    name: 'proxy-protocol',
    type: 'string',
    valueName: 'VERSION',
    description: 'Tell the origin who connects: v1 or v2',
  },
  {
    name: 'allow',
    type: 'list',
    valueName: 'PREFIX',
    description: 'Address or prefix that may connect; repeatable (default: all)',
  },
  {
    name: 'idle-timeout',
    type: 'duration',
    description: 'How long nothing may be said (default: 1h, UDP 60s; 0s = for ever, TCP only)',
  },
  {
    name: 'max-connections',
    type: 'integer',
    default: 1000,
    valueName: 'COUNT',
    description: 'Connections or sessions at once',
  },
  {
    name: 'max-per-address',
    type: 'integer',
    default: 100,
    valueName: 'COUNT',
    description: 'Of one address at once; an IPv6 /64 is one',
  },
] as const satisfies readonly Flag[];

export function addPort(protocol: PortProtocol): Command {
  const upper = protocol.toUpperCase();
  return defineCommand({
    description:
      `Leads a public ${upper} port of the edge to a tunnel. ` +
      (protocol === 'tcp'
        ? 'Connections go to the ingress rule for TCP (such as tcp://localhost:5432) of the tunnel, or with --to to an address or name that its connector dials.'
        : 'Datagrams go to an address that the connector sends to; the connector must be connected over QUIC.'),
    positionals: [
      { name: 'PORT', description: 'One of those that the edge gives out (--public-ports), or auto for a free one' },
      { name: 'TUNNEL', description: 'ID or name of the tunnel' },
    ],
    flags: [targetFlag, ...(protocol === 'tcp' ? [hostnameFlag] : []), ...sharedFlags],
    examples:
      protocol === 'tcp'
        ? [['postern tunnel route tcp 5432 db --to 10.0.0.5:5432', 'PostgreSQL beside the connector']]
        : [['postern tunnel route udp 51820 game --to 10.0.0.5:51820', 'A UDP server beside the connector']],
    run: async (invocation, context) => {
      const [port = '', tunnel = ''] = invocation.args;
      const { flags } = invocation;
      const wanted = port === 'auto' ? 0 : parsePort(port);
      const version = parseVersion(flags.proxyProtocol);
      if (protocol === 'udp' && flags.to === undefined)
        throw new PosternError('usage.invalid', 'A UDP port needs --to ADDRESS:PORT: ingress rules know no UDP');
      const api = await openApi(invocation, context);
      const id = await findTunnel(api, tunnel);
      const made = await api.client.addPublicPort({
        params: { account: api.account },
        body: {
          ...{ protocol, port: wanted, tunnel_id: id, target: flags.to, hostname: flags.hostname },
          ...{ proxy_protocol: version, allow: [...flags.allow] },
          idle_timeout: flags.idleTimeoutMs === undefined ? undefined : Math.ceil(flags.idleTimeoutMs / 1000),
          ...{ max_connections: flags.maxConnections, max_per_address: flags.maxPerAddress },
        },
      });
      context.stdout.write(`${upper} port ${made.port} leads to ${leadsTo(made)} of tunnel ${id}\n`);
    },
  });
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new PosternError('usage.invalid', `${JSON.stringify(text)} is not a port: give 1 to 65535, or auto`);
}

function parseVersion(text: string | undefined): 'v1' | 'v2' | undefined {
  if (text === undefined || text === 'v1' || text === 'v2') return text;
  throw new PosternError('usage.invalid', `--proxy-protocol ${JSON.stringify(text)} is no version: give v1 or v2`);
}
