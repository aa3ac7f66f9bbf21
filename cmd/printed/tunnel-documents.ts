// Tunnels, private routes and virtual networks as `--output` prints them: the very keys, zero times and empty lists of
// cloudflared, whose YAML has other names than its JSON. Source: docs/protocol/commands-and-api.md §5.

import type { ApiActiveClient, ApiConnection, ApiTunnel } from '../../internal/schema/api/tunnel.ts';

/** One result in both formats. */
export interface Printed {
  readonly json: unknown;
  readonly yaml: unknown;
}

/** What a time that never came is written as. */
const zeroTime = '0001-01-01T00:00:00Z';

/** RFC 3339 without zeros at the end of its fraction; null is the zero time. */
export function printTime(time: string | null | undefined): string {
  if (time === null || time === undefined) return zeroTime;
  return time.replace(/(\.\d*?)0*Z$/, (_, fraction: string) => (fraction === '.' ? 'Z' : `${fraction}Z`));
}

/** A list without entries is null in JSON, and an empty one in YAML. */
export function printNullableList(items: readonly Printed[]): Printed {
  return { json: items.length === 0 ? null : items.map(({ json }) => json), yaml: items.map(({ yaml }) => yaml) };
}

function printConnection(connection: ApiConnection, long: boolean): Printed {
  const { colo_name, id, is_pending_reconnect, origin_ip } = connection;
  const opened = printTime(connection.opened_at);
  const more = long ? { protocol: connection.protocol ?? '' } : {};
  return {
    json: { colo_name, id, is_pending_reconnect, origin_ip, opened_at: opened, ...more },
    yaml: {
      ...{ coloname: colo_name, id, ispendingreconnect: is_pending_reconnect, originip: origin_ip, openedat: opened },
      ...more,
    },
  };
}

type Standing = Pick<ApiTunnel, 'status' | 'conns_active_at' | 'conns_inactive_at' | 'config_src'>;

/** What cloudflared does not print: only `--long` does, in both formats alike. */
function standingOf({ status, conns_active_at: active, conns_inactive_at: inactive, config_src: source }: Standing) {
  return {
    ...{ status: status ?? '', config_src: source ?? '' },
    ...{ conns_active_at: printTime(active), conns_inactive_at: printTime(inactive) },
  };
}

function printTunnel(tunnel: ApiTunnel, long = false): { readonly json: object; readonly yaml: object } {
  const { id, name, connections } = tunnel;
  const [created, deleted] = [printTime(tunnel.created_at), printTime(tunnel.deleted_at)];
  const printed = connections.map(one => printConnection(one, long));
  const more = long ? standingOf(tunnel) : {};
  return {
    json: { id, name, created_at: created, deleted_at: deleted, connections: printed.map(({ json }) => json), ...more },
    yaml: { id, name, createdat: created, deletedat: deleted, connections: printed.map(({ yaml }) => yaml), ...more },
  };
}

/** Of `tunnel list`. */
export function printTunnels(tunnels: readonly ApiTunnel[], long = false): Printed {
  return printNullableList(tunnels.map(tunnel => printTunnel(tunnel, long)));
}

/** Of `tunnel create`. */
export function printCreatedTunnel(tunnel: ApiTunnel & { readonly token: string }): Printed {
  const { json, yaml } = printTunnel(tunnel);
  return { json: { ...json, token: tunnel.token }, yaml: { tunnel: yaml, token: tunnel.token } };
}

/** Of `tunnel info`. */
export function printTunnelInfo(
  tunnel: Pick<ApiTunnel, 'created_at' | 'id' | 'name'> & Standing,
  clients: readonly ApiActiveClient[],
  long = false,
): Printed {
  const { id, name } = tunnel;
  const created = printTime(tunnel.created_at);
  const more = long ? standingOf(tunnel) : {};
  const printed = clients.map(({ id: client, features, version, arch, run_at, conns }) => {
    const run = printTime(run_at);
    const connections = conns.map(one => printConnection(one, long));
    return {
      json: { id: client, features, version, arch, run_at: run, conns: connections.map(({ json }) => json) },
      yaml: { id: client, features, version, arch, runat: run, connections: connections.map(({ yaml }) => yaml) },
    };
  });
  return {
    json: { id, name, createdAt: created, conns: printed.map(({ json }) => json), ...more },
    yaml: { id, name, createdat: created, connectors: printed.map(({ yaml }) => yaml), ...more },
  };
}
