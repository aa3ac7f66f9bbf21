// API calls on tunnels: create, list, get, delete, token, connections, configuration. Source:
// docs/protocol/commands-and-api.md §9.3.

import type { ApiHandlers } from '../api/routes.ts';
import type { ActiveClient, LiveConnection } from '../carriers/live-connections.ts';
import { decodeBase64 } from '../credentials/base64.ts';
import { encodeToken } from '../credentials/tunnel-token.ts';
import { isPosternError } from '../errors/error.ts';
import { createTunnelId, isUuid, parseTunnelId } from '../schema/api/id.ts';
import type { ApiActiveClient, ApiConnection } from '../schema/api/tunnel.ts';
import { parseRemoteConfig } from '../schema/remote-config.ts';
import type { TunnelRecord } from '../store/contract/records.ts';
import { apiProblem } from './api-problem.ts';
import {
  type Caller,
  type ControlPlaneParts,
  formatOptionalTime,
  formatTime,
  requireTunnel,
} from './handler-context.ts';
import { perPageOf } from './paging.ts';

type TunnelHandlers = Pick<
  ApiHandlers<Caller>,
  | 'createTunnel'
  | 'listTunnels'
  | 'getTunnel'
  | 'deleteTunnel'
  | 'getTunnelToken'
  | 'listConnections'
  | 'cleanupConnections'
  | 'getConfiguration'
  | 'putConfiguration'
>;

const minSecretBytes = 32;
const maxSecretBytes = 1024;
/** What is told of a configuration that cannot be used: its first dozen of faults. */
const maxReasonLength = 2_000;

export function createTunnelHandlers(parts: ControlPlaneParts): TunnelHandlers {
  const { store, secrets, live, now } = parts;
  const tokenOf = (tunnel: TunnelRecord, secret: Uint8Array): string => {
    const { addresses, ...edge } = parts.describeEdge();
    return encodeToken({ accountTag: tunnel.accountTag, tunnelId: tunnel.id, secret, ...edge, edge: addresses });
  };
  return {
    async createTunnel({ body }, caller) {
      if (isUuid(body.name)) throw apiProblem('invalid', 'you cannot use UUIDs as tunnel names');
      const secret = decodeBase64(body.tunnel_secret);
      if (secret === undefined || secret.byteLength < minSecretBytes || secret.byteLength > maxSecretBytes) {
        throw apiProblem('invalid', `tunnel_secret must be base64 of ${minSecretBytes} to ${maxSecretBytes} bytes`);
      }
      const id = createTunnelId();
      const { accountTag } = caller;
      const stored = secrets.seal(id, secret);
      try {
        const tunnel = await store.tunnels.create({
          id,
          accountTag,
          name: body.name,
          secret: stored,
          createdAtMs: now(),
        });
        return { ...(await showTunnel(parts, tunnel)), token: tokenOf(tunnel, secret) };
      } catch (error) {
        if (!isPosternError(error, 'store.conflict')) throw error;
        throw apiProblem('nameTaken', 'You already have a tunnel with this name.');
      }
    },

    async listTunnels({ query }, caller) {
      const page = await store.tunnels.list(caller.accountTag, {
        name: query.name,
        namePrefix: query.name_prefix,
        excludePrefix: query.exclude_prefix,
        id: query.uuid,
        deleted: query.is_deleted,
        existedAtMs: query.existed_at === undefined ? undefined : parseTime(query.existed_at),
        page: query.page,
        perPage: perPageOf(query),
      });
      const items = await Promise.all(page.items.map(tunnel => showTunnel(parts, tunnel)));
      return { items, total: page.total };
    },

    async getTunnel({ params }, caller) {
      const id = parseTunnelId(params.id);
      // Deleted ones are shown: `tunnel delete` tells a deleted tunnel from an unknown one by this.
      const tunnel = id === undefined ? undefined : await store.tunnels.get(caller.accountTag, id);
      if (tunnel === undefined) throw apiProblem('notFound', 'Tunnel not found');
      return showTunnel(parts, tunnel);
    },

    async deleteTunnel({ params, query }, caller) {
      const tunnel = await requireTunnel(parts, caller, params.id);
      const cascade = query.cascade ?? false;
      if (!cascade && (await live.tunnels()).has(tunnel.id)) {
        throw apiProblem(
          'tunnelInUse',
          "You can't delete a tunnel with active connections: stop its connectors or use --force",
        );
      }
      const outcome = await store.tunnels.remove(caller.accountTag, tunnel.id, { atMs: now(), cascade });
      if (outcome === 'busy') {
        throw apiProblem('tunnelInUse', "You can't delete a tunnel with private routes: delete them or use --force");
      }
      live.disconnect(tunnel.id);
      return showTunnel(parts, { ...tunnel, deletedAtMs: now() });
    },

    async getTunnelToken({ params }, caller) {
      const tunnel = await requireTunnel(parts, caller, params.id);
      const found = await store.tunnels.secret(tunnel.id);
      if (found === undefined) throw apiProblem('notFound', 'Tunnel not found');
      return tokenOf(tunnel, secrets.open(tunnel.id, found.secret));
    },

    async listConnections({ params }, caller) {
      const tunnel = await requireTunnel(parts, caller, params.id);
      return (await live.list(tunnel.id)).map(showClient);
    },

    async cleanupConnections({ params, query }, caller) {
      const tunnel = await requireTunnel(parts, caller, params.id);
      live.disconnect(tunnel.id, query.client_id);
      return null;
    },

    async getConfiguration({ params }, caller) {
      const tunnel = await requireTunnel(parts, caller, params.id);
      const stored = await store.tunnels.configuration(tunnel.id);
      if (stored === undefined) {
        return { tunnel_id: tunnel.id, version: 0, config: null, source: 'local', created_at: null };
      }
      return showConfiguration(stored);
    },

    async putConfiguration({ params, body }, caller) {
      const tunnel = await requireTunnel(parts, caller, params.id);
      const config = JSON.stringify(body.config);
      requireUsable(config);
      const stored = await store.tunnels.setConfiguration(caller.accountTag, tunnel.id, config, now());
      if (stored === undefined) throw apiProblem('notFound', 'Tunnel not found');
      return showConfiguration(stored);
    },
  };
}

/** Throws 'api.invalid' with what connectors would say of the configuration: they use the same rules. */
function requireUsable(config: string): void {
  try {
    parseRemoteConfig(config);
  } catch (error) {
    if (!isPosternError(error, 'config.invalid')) throw error;
    throw apiProblem('invalid', `The configuration cannot be used: ${error.message.slice(0, maxReasonLength)}`);
  }
}

async function showTunnel(parts: ControlPlaneParts, tunnel: TunnelRecord) {
  const clients = tunnel.deletedAtMs === undefined ? await parts.live.list(tunnel.id) : [];
  return {
    id: tunnel.id,
    account_tag: tunnel.accountTag,
    name: tunnel.name,
    created_at: formatTime(tunnel.createdAtMs),
    deleted_at: formatOptionalTime(tunnel.deletedAtMs),
    connections: clients.flatMap(client => client.connections.map(showConnection)),
  };
}

function showClient(client: ActiveClient): ApiActiveClient {
  return {
    id: client.id,
    features: [...client.features],
    version: client.version,
    arch: client.arch,
    run_at: formatTime(client.runAtMs),
    conns: client.connections.map(showConnection),
  };
}

function showConnection(connection: LiveConnection): ApiConnection {
  return {
    colo_name: connection.location,
    id: connection.id,
    is_pending_reconnect: connection.pendingReconnect,
    origin_ip: connection.originIp,
    opened_at: formatTime(connection.openedAtMs),
  };
}

function showConfiguration(stored: { tunnelId: string; version: number; config: string; updatedAtMs: number }) {
  return {
    tunnel_id: stored.tunnelId,
    version: stored.version,
    config: JSON.parse(stored.config) as Record<string, unknown>,
    source: 'cloudflare',
    created_at: formatTime(stored.updatedAtMs),
  };
}

function parseTime(text: string): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw apiProblem('invalid', `existed_at must be an RFC 3339 time, not ${JSON.stringify(text)}`);
  return ms;
}
