// API calls on tunnels: create, change, list, get, delete, token, connections, configuration. Source:
// docs/protocol/commands-and-api.md §9.3.

import { randomBytes } from 'node:crypto';
import type { ApiHandlers } from '../api/routes.ts';
import { decodeBase64 } from '../credentials/base64.ts';
import { encodeToken } from '../credentials/tunnel-token.ts';
import { isPosternError } from '../errors/error.ts';
import { createTunnelId, isUuid, parseTunnelId } from '../schema/api/id.ts';
import { parseRemoteConfig } from '../schema/remote-config.ts';
import type { TunnelRecord } from '../store/contract/records.ts';
import { apiProblem } from './api-problem.ts';
import { type Caller, type ControlPlaneParts, formatTime, requireTunnel } from './handler-context.ts';
import { listTunnels } from './list-tunnels.ts';
import { showClient, showTunnel } from './show-tunnel.ts';

type TunnelHandlers = Pick<
  ApiHandlers<Caller>,
  | 'createTunnel'
  | 'updateTunnel'
  | 'listTunnels'
  | 'getTunnel'
  | 'deleteTunnel'
  | 'getTunnelToken'
  | 'rotateTunnelToken'
  | 'listConnections'
  | 'getConnector'
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
  const stateAndShow = async (tunnel: TunnelRecord) => {
    // A tunnel that was deleted has nobody, also while its connectors are being cut off.
    const states = await live.states(tunnel.deletedAtMs === undefined ? [tunnel.id] : []);
    return showTunnel(tunnel, states.get(tunnel.id));
  };
  return {
    async createTunnel({ body }, caller) {
      requireName(body.name);
      const secret = body.tunnel_secret ? parseSecret(body.tunnel_secret) : randomBytes(minSecretBytes);
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
          remote: body.config_src === 'cloudflare',
        });
        return { ...(await stateAndShow(tunnel)), token: tokenOf(tunnel, secret) };
      } catch (error) {
        throw nameTaken(error);
      }
    },

    async updateTunnel({ params, body: { name, tunnel_secret: text } }, caller) {
      const { id } = await requireTunnel(parts, caller, params.id);
      if (name !== undefined) requireName(name);
      const secret = text === undefined ? undefined : secrets.seal(id, parseSecret(text));
      let tunnel: TunnelRecord | undefined;
      try {
        tunnel = await store.tunnels.update(caller.accountTag, id, { name, secret });
      } catch (error) {
        throw nameTaken(error);
      }
      if (tunnel === undefined) throw apiProblem('notFound', 'Tunnel not found');
      return stateAndShow(tunnel);
    },

    async listTunnels({ query }, caller) {
      return listTunnels(parts, caller.accountTag, query);
    },

    async getTunnel({ params }, caller) {
      const id = parseTunnelId(params.id);
      // Deleted ones are shown: `tunnel delete` tells a deleted tunnel from an unknown one by this.
      const tunnel = id === undefined ? undefined : await store.tunnels.get(caller.accountTag, id);
      if (tunnel === undefined) throw apiProblem('notFound', 'Tunnel not found');
      return stateAndShow(tunnel);
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
      return stateAndShow({ ...tunnel, deletedAtMs: now() });
    },

    async getTunnelToken({ params }, caller) {
      const tunnel = await requireTunnel(parts, caller, params.id);
      const found = await store.tunnels.secret(tunnel.id);
      if (found === undefined) throw apiProblem('notFound', 'Tunnel not found');
      return tokenOf(tunnel, secrets.open(tunnel.id, found.secret));
    },

    async rotateTunnelToken({ params, body }, caller) {
      const tunnel = await requireTunnel(parts, caller, params.id);
      const present = await store.tunnels.secret(tunnel.id);
      const atMs = now();
      if (present?.old !== undefined && present.old.untilMs > atMs && body.overlap_seconds > 0) {
        const until = formatTime(present.old.untilMs);
        const remedy = 'wait, or rotate without an overlap, which ends all old tokens now';
        throw apiProblem('invalid', `The token before the present one is good until ${until}: ${remedy}`);
      }
      const secret = randomBytes(minSecretBytes);
      const oldSecretUntilMs = atMs + body.overlap_seconds * 1_000;
      const changes = { secret: secrets.seal(tunnel.id, secret), oldSecretUntilMs };
      const changed = await store.tunnels.update(caller.accountTag, tunnel.id, changes);
      if (changed === undefined) throw apiProblem('notFound', 'Tunnel not found');
      return { token: tokenOf(tunnel, secret), old_token_valid_until: formatTime(oldSecretUntilMs) };
    },

    async listConnections({ params }, caller) {
      const tunnel = await requireTunnel(parts, caller, params.id);
      return (await live.list(tunnel.id)).map(showClient);
    },

    async getConnector({ params }, caller) {
      const tunnel = await requireTunnel(parts, caller, params.id);
      const client = (await live.list(tunnel.id)).find(one => one.id === params.connector.toLowerCase());
      if (client === undefined) throw apiProblem('notFound', 'Connector not found: it is not connected now');
      return showClient(client);
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
        const source = tunnel.remote ? 'cloudflare' : 'local';
        return { ...configurationOf(tunnel), version: 0, config: null, source, created_at: null };
      }
      return { ...configurationOf(tunnel), ...showConfiguration(stored) };
    },

    async putConfiguration({ params, body }, caller) {
      const tunnel = await requireTunnel(parts, caller, params.id);
      const config = JSON.stringify(body.config);
      requireUsable(config);
      const stored = await store.tunnels.setConfiguration(caller.accountTag, tunnel.id, config, now());
      if (stored === undefined) throw apiProblem('notFound', 'Tunnel not found');
      return { ...configurationOf(tunnel), ...showConfiguration(stored) };
    },
  };
}

/** Throws 'api.invalid'. */
function requireName(name: string): void {
  if (isUuid(name)) throw apiProblem('invalid', 'you cannot use UUIDs as tunnel names');
}

/** Throws 'api.invalid'. */
function parseSecret(text: string): Uint8Array {
  const secret = decodeBase64(text);
  if (secret === undefined || secret.byteLength < minSecretBytes || secret.byteLength > maxSecretBytes)
    throw apiProblem('invalid', `tunnel_secret must be base64 of ${minSecretBytes} to ${maxSecretBytes} bytes`);
  return secret;
}

function nameTaken(error: unknown): unknown {
  return isPosternError(error, 'store.conflict')
    ? apiProblem('nameTaken', 'You already have a tunnel with this name.')
    : error;
}

function configurationOf(tunnel: TunnelRecord) {
  return { tunnel_id: tunnel.id, account_id: tunnel.accountTag };
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

function showConfiguration(stored: { version: number; config: string; updatedAtMs: number }) {
  return {
    version: stored.version,
    config: JSON.parse(stored.config) as Record<string, unknown>,
    source: 'cloudflare',
    created_at: formatTime(stored.updatedAtMs),
  };
}
