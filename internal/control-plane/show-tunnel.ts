// Tunnels and their connectors as the API shows them. Source: docs/protocol/commands-and-api.md §9.2.

import type { ActiveClient, LiveConnection, TunnelState } from '../carriers/live-connections.ts';
import type { ApiActiveClient, ApiConnection } from '../schema/api/tunnel.ts';
import type { TunnelRecord } from '../store/contract/records.ts';
import { formatOptionalTime, formatTime } from './handler-context.ts';

/** @param state how it stands; undefined for a deleted one */
export function showTunnel(tunnel: TunnelRecord, state: TunnelState | undefined) {
  return {
    id: tunnel.id,
    account_tag: tunnel.accountTag,
    name: tunnel.name,
    tun_type: 'cfd_tunnel',
    status: state?.status ?? 'inactive',
    created_at: formatTime(tunnel.createdAtMs),
    deleted_at: formatOptionalTime(tunnel.deletedAtMs),
    conns_active_at: formatOptionalTime(state?.activeAtMs),
    conns_inactive_at: formatOptionalTime(state?.inactiveAtMs),
    connections: (state?.clients ?? []).flatMap(client => client.connections.map(one => showConnection(one, client))),
    config_src: tunnel.remote ? ('cloudflare' as const) : ('local' as const),
    remote_config: tunnel.remote,
    metadata: {},
  };
}

export function showClient(client: ActiveClient): ApiActiveClient {
  return {
    id: client.id,
    features: [...client.features],
    version: client.version,
    arch: client.arch,
    run_at: formatTime(client.runAtMs),
    config_version: client.configVersion,
    conns: client.connections.map(one => showConnection(one, client)),
  };
}

function showConnection(connection: LiveConnection, client: ActiveClient): ApiConnection {
  return {
    colo_name: connection.location,
    id: connection.id,
    uuid: connection.id,
    client_id: client.id,
    client_version: client.version,
    is_pending_reconnect: connection.pendingReconnect,
    origin_ip: connection.originIp,
    opened_at: formatTime(connection.openedAtMs),
    protocol: connection.protocol,
  };
}
