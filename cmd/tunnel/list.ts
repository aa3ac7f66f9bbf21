// `tunnel list`: the tunnels of the account as a table, JSON or YAML. Source: docs/protocol/commands-and-api.md §5.3.

import type { Flag } from '../../internal/config/flag.ts';
import { PosternError } from '../../internal/errors/error.ts';
import { isUuid } from '../../internal/schema/api/id.ts';
import { type ApiConnection, type ApiTunnel, tunnelStatusSchema } from '../../internal/schema/api/tunnel.ts';
import { parseDuration } from '../../internal/schema/duration.ts';
import { defineCommand } from '../command.ts';
import { outputFlag, parseOutputFormat, writePrinted } from '../output.ts';
import { printTunnels } from '../printed/tunnel-documents.ts';
import { formatSeconds, formatTable } from '../table.ts';
import { openApi } from './api.ts';
import { formatUptime } from './tunnel-uptime.ts';

const statuses = tunnelStatusSchema.options;

/** What a table in the form of cloudflared has no column for. */
export const longFlag = {
  name: 'long',
  aliases: ['l'],
  type: 'boolean',
  description: 'Also show status, uptime and protocols',
} as const satisfies Flag;

const sortKeys = {
  name: (tunnel: ApiTunnel) => tunnel.name,
  id: (tunnel: ApiTunnel) => tunnel.id,
  createdAt: (tunnel: ApiTunnel) => tunnel.created_at,
  deletedAt: (tunnel: ApiTunnel) => tunnel.deleted_at ?? '',
  numConnections: (tunnel: ApiTunnel) => tunnel.connections.length,
} as const;

export const command = defineCommand({
  description: 'Lists the tunnels of the account, deleted ones only when asked for.',
  flags: [
    outputFlag,
    { name: 'show-deleted', aliases: ['d'], type: 'boolean', description: 'Also list deleted tunnels' },
    { name: 'name', aliases: ['n'], type: 'string', valueName: 'NAME', description: 'Only the tunnel of this name' },
    {
      name: 'name-prefix',
      aliases: ['np'],
      type: 'string',
      valueName: 'PREFIX',
      description: 'Only tunnels whose names begin with this',
    },
    {
      name: 'exclude-name-prefix',
      aliases: ['enp'],
      type: 'string',
      valueName: 'PREFIX',
      description: 'Only tunnels whose names do not begin with this',
    },
    {
      name: 'when',
      aliases: ['w'],
      type: 'string',
      valueName: 'TIME',
      description: 'Only tunnels that existed at this RFC 3339 time',
    },
    { name: 'id', aliases: ['i'], type: 'string', valueName: 'UUID', description: 'Only the tunnel of this id' },
    {
      name: 'show-recently-disconnected',
      aliases: ['rd'],
      type: 'boolean',
      description: 'Also count connections that were lost and are expected back',
    },
    {
      name: 'status',
      type: 'string',
      valueName: 'STATUS',
      description: `Only tunnels that stand like this: ${statuses.join(', ')}`,
    },
    {
      name: 'active-at',
      type: 'string',
      valueName: 'TIME',
      description: 'Only tunnels that were connected at this RFC 3339 time, the last time they were',
    },
    {
      name: 'min-uptime',
      type: 'string',
      valueName: 'DURATION',
      description: 'Only tunnels that have been connected for at least this long, such as 1h30m',
    },
    longFlag,
    {
      name: 'sort-by',
      type: 'string',
      env: ['TUNNEL_LIST_SORT_BY'],
      default: 'name',
      valueName: 'FIELD',
      description: `Order of the list: ${Object.keys(sortKeys).join(', ')}`,
    },
    {
      name: 'invert-sort',
      type: 'boolean',
      env: ['TUNNEL_LIST_INVERT_SORT'],
      description: 'List in the opposite order',
    },
  ],
  run: async (invocation, context) => {
    const { flags } = invocation;
    const format = parseOutputFormat(flags.output);
    if (flags.id && !isUuid(flags.id)) throw new PosternError('usage.invalid', `${flags.id} is not a valid tunnel ID`);
    requireTime('--when', flags.when);
    requireTime('--active-at', flags.activeAt);
    const status = parseStatus(flags.status);
    const minUptimeMs = flags.minUptime ? requireDuration('--min-uptime', flags.minUptime) : undefined;
    const api = await openApi(invocation, context);
    const listed = await api.client.listTunnels({
      params: { account: api.account },
      query: {
        name: flags.name || undefined,
        name_prefix: flags.namePrefix || undefined,
        exclude_prefix: flags.excludeNamePrefix || undefined,
        existed_at: flags.when || undefined,
        uuid: flags.id || undefined,
        is_deleted: flags.showDeleted ? undefined : false,
        status,
        was_active_at: flags.activeAt || undefined,
      },
    });
    const connectedBefore = Date.now() - (minUptimeMs ?? 0);
    const tunnels =
      minUptimeMs === undefined
        ? listed
        : listed.filter(({ conns_active_at: since }) => since && Date.parse(since) <= connectedBefore);
    const sorted = sortBy(tunnels, sortKeyOf(flags.sortBy, context.stderr), flags.invertSort);
    if (format !== undefined) {
      writePrinted(context, format, printTunnels(sorted, flags.long));
      return;
    }
    if (sorted.length === 0) {
      context.stdout.write(
        "No tunnels were found for the given filter flags. You can use 'postern tunnel create' to create a tunnel.\n",
      );
      return;
    }
    const rows = sorted.map(tunnel => [
      tunnel.id,
      tunnel.name,
      formatSeconds(tunnel.created_at),
      countByLocation(tunnel.connections, flags.showRecentlyDisconnected),
      ...(flags.long ? [tunnel.status ?? '', formatUptime(tunnel.conns_active_at)] : []),
    ]);
    const header = ['ID', 'NAME', 'CREATED', 'CONNECTIONS', ...(flags.long ? ['STATUS', 'UPTIME'] : [])];
    context.stdout.write(
      'You can obtain more detailed information for each tunnel with `postern tunnel info <name/uuid>`\n' +
        formatTable(header, rows),
    );
  },
});

/** Throws 'usage.invalid'. */
function requireTime(flag: string, text: string | undefined): void {
  if (text && Number.isNaN(Date.parse(text)))
    throw new PosternError('usage.invalid', `${flag} must be an RFC 3339 time, not ${JSON.stringify(text)}`);
}

/** Throws 'usage.invalid'. */
function requireDuration(flag: string, text: string): number {
  try {
    return parseDuration(text);
  } catch (cause) {
    const message = `${flag} must be a duration such as 1h30m, not ${JSON.stringify(text)}`;
    throw new PosternError('usage.invalid', message, { cause });
  }
}

/** Throws 'usage.invalid'. */
function parseStatus(text: string | undefined): (typeof statuses)[number] | undefined {
  if (!text) return undefined;
  // As dashboards call it.
  const wanted = text.toLowerCase() === 'active' ? 'healthy' : text.toLowerCase();
  const status = statuses.find(one => one === wanted);
  if (status !== undefined) return status;
  throw new PosternError('usage.invalid', `There is no status ${JSON.stringify(text)}: use ${statuses.join(', ')}`);
}

/** `2xlhr01, 1xlhr05`, sorted by location. */
export function countByLocation(connections: readonly ApiConnection[], withPending: boolean): string {
  const counts = new Map<string, number>();
  for (const { colo_name: location, is_pending_reconnect: pending } of connections) {
    if (!pending || withPending) counts.set(location, (counts.get(location) ?? 0) + 1);
  }
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([location, count]) => `${count}x${location}`)
    .join(', ');
}

function sortKeyOf(name: string, stderr: { write(text: string): unknown }): (tunnel: ApiTunnel) => string | number {
  const known = Object.entries(sortKeys).find(([key]) => key === name);
  if (known !== undefined) return known[1];
  stderr.write(
    `${name} is not a valid sort field. Valid sort fields are ${Object.keys(sortKeys).join(', ')}. Defaulting to 'name'.\n`,
  );
  return sortKeys.name;
}

/** A sorted copy; equal keys keep their order. */
export function sortBy<T>(items: readonly T[], key: (item: T) => string | number, invert: boolean): T[] {
  const sign = invert ? -1 : 1;
  return items.toSorted((a, b) => {
    const [left, right] = [key(a), key(b)];
    return left < right ? -sign : left > right ? sign : 0;
  });
}
