// API calls on private routes, by prefix and by host name. Source: docs/protocol/commands-and-api.md §9.5, §5.5.

import { randomUUID } from 'node:crypto';
import type { ApiHandlers } from '../../api/routes.ts';
import { apiProblem } from '../../control-plane/api-problem.ts';
import {
  type Caller,
  type ControlPlaneParts,
  formatOptionalTime,
  formatTime,
  pageOf,
  requireTunnel,
} from '../../control-plane/handler-context.ts';
import { perPageOf } from '../../control-plane/paging.ts';
import { isPosternError } from '../../errors/error.ts';
import { parseIp } from '../../net/address/ip.ts';
import { formatPrefix, type Prefix, parsePrefix, prefixContains } from '../../net/address/prefix.ts';
import type { IpRouteRecord, NetworkRecord, PrivateHostnameRecord } from '../../store/contract/records.ts';

type PrivateRouteHandlers = Pick<
  ApiHandlers<Caller>,
  | 'listIpRoutes'
  | 'addIpRoute'
  | 'updateIpRoute'
  | 'deleteIpRoute'
  | 'getIpRoute'
  | 'listHostnameRoutes'
  | 'addHostnameRoute'
  | 'deleteHostnameRoute'
>;

export function createPrivateRouteHandlers(parts: Pick<ControlPlaneParts, 'store' | 'now'>): PrivateRouteHandlers {
  const { store, now } = parts;
  /** The live network a route belongs in: the one named, else the account's default. */
  const requireNetwork = async (caller: Caller, id: string | undefined): Promise<NetworkRecord> => {
    const networks = await store.networks.list(caller.accountTag);
    const found = networks.find(
      network => network.deletedAtMs === undefined && (id === undefined ? network.isDefault : network.id === id),
    );
    if (found === undefined) throw apiProblem('notFound', 'Virtual network not found');
    return found;
  };
  /** Names of tunnels by id, each looked up once. */
  const tunnelNames = async (routes: readonly { readonly tunnelId: IpRouteRecord['tunnelId'] }[]) => {
    const names = new Map<string, string>();
    for (const { tunnelId } of routes) {
      if (!names.has(tunnelId)) names.set(tunnelId, (await store.tunnels.find(tunnelId))?.name ?? '');
    }
    return names;
  };
  return {
    async listIpRoutes({ query }, caller) {
      const subsetOf = parseFilter(query.network_subset);
      const supersetOf = parseFilter(query.network_superset);
      const all = await store.ipRoutes.list(caller.accountTag);
      const wanted = all.filter(route => {
        const prefix = parsePrefix(route.prefix);
        return (
          prefix !== undefined &&
          (query.is_deleted === undefined || (route.deletedAtMs !== undefined) === query.is_deleted) &&
          (query.tunnel_id === undefined || route.tunnelId === query.tunnel_id) &&
          (query.virtual_network_id === undefined || route.networkId === query.virtual_network_id) &&
          (query.comment === undefined || route.comment === query.comment) &&
          (subsetOf === undefined || contains(subsetOf, prefix)) &&
          (supersetOf === undefined || contains(prefix, supersetOf))
        );
      });
      const page = pageOf(wanted, { page: query.page, perPage: perPageOf(query) });
      const names = await tunnelNames(page.items);
      return { items: page.items.map(route => showDetailed(route, names)), total: page.total };
    },

    async addIpRoute({ body }, caller) {
      const prefix = parsePrefix(body.network);
      if (prefix === undefined) {
        const text = JSON.stringify(body.network);
        throw apiProblem(
          'invalid',
          `Invalid network CIDR ${text}: write it like 10.0.0.0/8, with host bits that are zero`,
        );
      }
      const tunnel = await requireTunnel(parts, caller, body.tunnel_id);
      const network = await requireNetwork(caller, body.virtual_network_id);
      const route: IpRouteRecord = {
        id: randomUUID(),
        accountTag: caller.accountTag,
        networkId: network.id,
        prefix: formatPrefix(prefix),
        tunnelId: tunnel.id,
        comment: body.comment,
        createdAtMs: now(),
        deletedAtMs: undefined,
      };
      try {
        await store.ipRoutes.create(route);
      } catch (error) {
        if (!isPosternError(error, 'store.conflict')) throw error;
        throw apiProblem('routeExists', 'You already have a route defined for this exact IP subnet');
      }
      return showIpRoute(route);
    },

    async updateIpRoute({ params, body }, caller) {
      const { tunnel_id: tunnelId, comment } = body;
      const tunnel = tunnelId === undefined ? undefined : await requireTunnel(parts, caller, tunnelId);
      const changes = { tunnelId: tunnel?.id, comment };
      const route = await store.ipRoutes.update(caller.accountTag, params.id.toLowerCase(), changes);
      if (route === undefined) throw apiProblem('notFound', 'Route not found');
      return showIpRoute(route);
    },

    async deleteIpRoute({ params }, caller) {
      const route = await store.ipRoutes.remove(caller.accountTag, params.id.toLowerCase(), now());
      if (route === undefined) throw apiProblem('notFound', 'Route not found');
      return showIpRoute(route);
    },

    async getIpRoute({ params, query }, caller) {
      const address = parseIp(params.ip);
      if (address === undefined) throw apiProblem('invalid', `${JSON.stringify(params.ip)} is not an IP address`);
      const network = await requireNetwork(caller, query.virtual_network_id);
      const routes = await store.ipRoutes.list(caller.accountTag);
      let best: { route: IpRouteRecord; bits: number } | undefined;
      for (const route of routes) {
        if (route.deletedAtMs !== undefined || route.networkId !== network.id) continue;
        const prefix = parsePrefix(route.prefix);
        if (prefix === undefined || !prefixContains(prefix, address)) continue;
        if (best === undefined || prefix.bits > best.bits) best = { route, bits: prefix.bits };
      }
      return best === undefined ? null : showDetailed(best.route, await tunnelNames([best.route]));
    },

    async listHostnameRoutes({ query }, caller) {
      const all = await store.privateHostnames.list(caller.accountTag);
      const wanted = all.filter(
        route =>
          (query.is_deleted === undefined || (route.deletedAtMs !== undefined) === query.is_deleted) &&
          (query.hostname === undefined || route.hostname === query.hostname.toLowerCase()) &&
          (query.tunnel_id === undefined || route.tunnelId === query.tunnel_id) &&
          (query.virtual_network_id === undefined || route.networkId === query.virtual_network_id),
      );
      const page = pageOf(wanted, { page: query.page, perPage: perPageOf(query) });
      const names = await tunnelNames(page.items);
      return { items: page.items.map(route => showHostname(route, names)), total: page.total };
    },

    async addHostnameRoute({ body }, caller) {
      const tunnel = await requireTunnel(parts, caller, body.tunnel_id);
      const network = await requireNetwork(caller, body.virtual_network_id);
      const route: PrivateHostnameRecord = {
        id: randomUUID(),
        accountTag: caller.accountTag,
        networkId: network.id,
        hostname: parsePrivateHostname(body.hostname),
        tunnelId: tunnel.id,
        comment: body.comment,
        createdAtMs: now(),
        deletedAtMs: undefined,
      };
      try {
        await store.privateHostnames.create(route);
      } catch (error) {
        if (!isPosternError(error, 'store.conflict')) throw error;
        throw apiProblem('routeExists', 'You already have a route defined for this exact host name');
      }
      return showHostname(route, await tunnelNames([route]));
    },

    async deleteHostnameRoute({ params }, caller) {
      const route = await store.privateHostnames.remove(caller.accountTag, params.id.toLowerCase(), now());
      if (route === undefined) throw apiProblem('notFound', 'Route not found');
      return showHostname(route, await tunnelNames([route]));
    },
  };
}

function parseFilter(text: string | undefined): Prefix | undefined {
  if (text === undefined) return undefined;
  const prefix = parsePrefix(text);
  if (prefix === undefined) throw apiProblem('invalid', `Invalid network CIDR ${JSON.stringify(text)}`);
  return prefix;
}

/** Whether all of `inner` lies in `outer`; equal ones do. */
function contains(outer: Prefix, inner: Prefix): boolean {
  return outer.bits <= inner.bits && prefixContains(outer, inner.bytes);
}

/** Lower case, ASCII; `*.suffix` allowed. An address is refused: it could never be matched as a name. */
function parsePrivateHostname(text: string): string {
  const hostname = text.toLowerCase().replace(/\.$/, '');
  const isName = /^(\*\.)?[_a-z0-9]([-_a-z0-9]{0,62})(\.[_a-z0-9]([-_a-z0-9]{0,62}))*$/.test(hostname);
  if (!isName || parseIp(hostname) !== undefined || hostname.length > 253) {
    throw apiProblem('invalid', `${JSON.stringify(text)} is not a valid host name`);
  }
  return hostname;
}

function showIpRoute(route: IpRouteRecord) {
  return {
    id: route.id,
    network: route.prefix,
    tunnel_id: route.tunnelId,
    virtual_network_id: route.networkId,
    comment: route.comment,
    created_at: formatTime(route.createdAtMs),
    deleted_at: formatOptionalTime(route.deletedAtMs),
  };
}

function showDetailed(route: IpRouteRecord, names: ReadonlyMap<string, string>) {
  return { ...showIpRoute(route), tunnel_name: names.get(route.tunnelId) ?? '' };
}

function showHostname(route: PrivateHostnameRecord, names: ReadonlyMap<string, string>) {
  return {
    id: route.id,
    hostname: route.hostname,
    tunnel_id: route.tunnelId,
    tunnel_name: names.get(route.tunnelId) ?? '',
    virtual_network_id: route.networkId,
    comment: route.comment,
    created_at: formatTime(route.createdAtMs),
    deleted_at: formatOptionalTime(route.deletedAtMs),
  };
}
