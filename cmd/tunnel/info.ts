// `tunnel info TUNNEL`: a tunnel and its connectors. Source: docs/protocol/commands-and-api.md §5.4.

import type { ApiActiveClient } from '../../internal/schema/api/tunnel.ts';
import { printableLine } from '../../internal/telemetry/printable.ts';
import { defineCommand } from '../command.ts';
import { outputFlag, parseOutputFormat, writePrinted } from '../output.ts';
import { printTime, printTunnelInfo } from '../printed/tunnel-documents.ts';
import { formatSeconds, formatTable } from '../table.ts';
import { openApi } from './api.ts';
import { findTunnel } from './find-tunnel.ts';
import { countByLocation, longFlag, sortBy } from './list.ts';
import { formatUptime } from './tunnel-uptime.ts';

const sortKeys = {
  createdAt: (client: ApiActiveClient) => client.run_at,
  id: (client: ApiActiveClient) => client.id,
  numConnections: (client: ApiActiveClient) => client.conns.length,
  version: (client: ApiActiveClient) => client.version,
} as const;

export const command = defineCommand({
  description: 'Shows a tunnel and the connectors that serve it now.',
  positionals: [{ name: 'TUNNEL', description: 'ID or name of the tunnel' }],
  checkArgs: args =>
    args.length === 1
      ? undefined
      : '"postern tunnel info" accepts exactly one argument, the ID or name of the tunnel to get info about.',
  flags: [
    outputFlag,
    {
      name: 'show-recently-disconnected',
      aliases: ['rd'],
      type: 'boolean',
      description: 'Also show connections that were lost and are expected back',
    },
    longFlag,
    {
      name: 'sort-by',
      type: 'string',
      env: ['TUNNEL_INFO_SORT_BY'],
      default: 'createdAt',
      valueName: 'FIELD',
      description: `Order of the connectors: ${Object.keys(sortKeys).join(', ')}`,
    },
    {
      name: 'invert-sort',
      type: 'boolean',
      env: ['TUNNEL_INFO_INVERT_SORT'],
      description: 'List in the opposite order',
    },
  ],
  run: async (invocation, context) => {
    const { flags } = invocation;
    const format = parseOutputFormat(flags.output);
    const api = await openApi(invocation, context);
    const id = await findTunnel(api, invocation.args[0] ?? '');
    const params = { account: api.account, id };
    const [tunnel, clients] = await Promise.all([
      api.client.getTunnel({ params }),
      api.client.listConnections({ params }),
    ]);
    const shown = clients
      .map(client => ({
        ...client,
        conns: client.conns.filter(({ is_pending_reconnect: pending }) => !pending || flags.showRecentlyDisconnected),
      }))
      .filter(client => client.conns.length > 0);
    const key = Object.entries(sortKeys).find(([name]) => name === flags.sortBy)?.[1];
    if (key === undefined) {
      const known = Object.keys(sortKeys).join(', ');
      context.stderr.write(
        `${flags.sortBy} is not a valid sort field. Valid sort fields are ${known}. Defaulting to 'createdAt'.\n`,
      );
    }
    const conns = sortBy(shown, key ?? sortKeys.createdAt, flags.invertSort);
    if (format !== undefined) {
      writePrinted(context, format, printTunnelInfo(tunnel, conns, flags.long));
      return;
    }
    if (conns.length === 0) {
      context.stdout.write(`Your tunnel ${id} does not have any active connection.\n`);
      return;
    }
    const rows = conns.map(client => [
      client.id,
      formatSeconds(client.run_at),
      client.arch,
      client.version,
      client.conns[0]?.origin_ip ?? '',
      countByLocation(client.conns, true),
      ...(flags.long ? [protocolsOf(client), formatUptime(client.run_at)] : []),
    ]);
    const header = ['CONNECTOR ID', 'CREATED', 'ARCHITECTURE', 'VERSION', 'ORIGIN IP', 'EDGE'];
    if (flags.long) header.push('PROTOCOL', 'UPTIME');
    const standing = flags.long
      ? `STATUS:   ${tunnel.status ?? ''}\nUPTIME:   ${formatUptime(tunnel.conns_active_at)}\n`
      : '';
    context.stdout.write(
      `NAME:     ${printableLine(tunnel.name)}\nID:       ${id}\nCREATED:  ${formatGoTime(tunnel.created_at)}\n${standing}\n` +
        formatTable(header, rows),
    );
  },
});

/** `2024-01-01 00:00:00.123 +0000 UTC`. */
function formatGoTime(time: string): string {
  return printTime(time).replace('T', ' ').replace('Z', ' +0000 UTC');
}

/** `quic`, or both with a comma. */
function protocolsOf({ conns }: ApiActiveClient): string {
  return [...new Set(conns.map(({ protocol }) => protocol ?? ''))].sort().join(',');
}
