// API calls on private routes by prefix. Source: docs/protocol/commands-and-api.md §9.5, §5.5.

import { randomUUID } from 'node:crypto';
import type { ApiHandlers } from '../../api/routes.ts';
import { apiProblem } from '../../control-plane/api-problem.ts';
import {
  type Caller,
  type ControlPlaneParts,
  existedAt,
  formatOptionalTime,
  formatTime,
  pageOf,
  parseOptionalTime,
  requireTunnel,
} from '../../control-plane/handler-context.ts';
import { perPageOf } from '../../control-plane/paging.ts';
import { parseIp } from '../../net/address/ip.ts';
import { formatPrefix, type Prefix, parsePrefix, prefixContains, prefixCovers } from '../../net/address/prefix.ts';
import type { IpRouteRecord } from '../../store/contract/records.ts';
import { conflictsAreRoutes, createRouteLookups, type RouteNames } from './route-lookups.ts';

type IpRouteHandlers = Pick<
  ApiHandlers<Caller>,
  | 'listIpRoutes'
  | 'addIpRoute'
  | 'readIpRoute'
  | 'updateIpRoute'
  | 'deleteIpRoute'
  | 'addNamedIpRoute'
  | 'updateNamedIpRoute'
  | 'deleteNamedIpRoute'
  | 'getIpRoute'
>;

export function createIpRouteHandlers(parts: Pick<ControlPlaneParts, 'store' | 'now'>): IpRouteHandlers {
  const { store, now } = parts;
  const { requireNetwork, names } = createRouteLookups(parts);
  const detailed = async (route: IpRouteRecord) => showDetailed(route, await names([route]));
  /** The live route of exactly this prefix, in the network named or the default one. Throws `api.not-found`. */
  const requireNamed = async (
    caller: Caller,
    text: string,
    query: { readonly virtual_network_id?: string | undefined; readonly tunnel_id?: string | undefined },
  ): Promise<IpRouteRecord> => {
    const prefix = formatPrefix(requirePrefix(text));
    const network = await requireNetwork(caller, query.virtual_network_id);
    const found = (await store.ipRoutes.list(caller.accountTag)).find(
      route =>
        route.deletedAtMs === undefined &&
        route.networkId === network.id &&
        route.prefix === prefix &&
        (query.tunnel_id === undefined || route.tunnelId === query.tunnel_id),
    );
    if (found === undefined) throw apiProblem('notFound', 'Route not found');
    return found;
  };
  const add = async (
    caller: Caller,
    body: { network: string; tunnel_id: string; comment: string; virtual_network_id?: string | undefined },
  ) => {
    const prefix = requirePrefix(body.network);
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
    await conflictsAreRoutes('IP subnet', () => store.ipRoutes.create(route));
    return showIpRoute(route);
  };
  const update = async (
    caller: Caller,
    id: string,
    body: {
      network?: string | undefined;
      tunnel_id?: string | undefined;
      comment?: string | undefined;
      virtual_network_id?: string | undefined;
    },
  ) => {
    const { network: prefix, tunnel_id: tunnelId, comment, virtual_network_id: networkId } = body;
    const tunnel = tunnelId === undefined ? undefined : await requireTunnel(parts, caller, tunnelId);
    const network = networkId === undefined ? undefined : await requireNetwork(caller, networkId);
    const changes = {
      prefix: prefix === undefined ? undefined : formatPrefix(requirePrefix(prefix)),
      tunnelId: tunnel?.id,
      networkId: network?.id,
      comment,
    };
    const route = await conflictsAreRoutes('IP subnet', () =>
      store.ipRoutes.update(caller.accountTag, id.toLowerCase(), changes),
    );
    if (route === undefined) throw apiProblem('notFound', 'Route not found');
    return showIpRoute(route);
  };
  const remove = async (caller: Caller, id: string) => {
    const route = await store.ipRoutes.remove(caller.accountTag, id.toLowerCase(), now());
    if (route === undefined) throw apiProblem('notFound', 'Route not found');
    return showIpRoute(route);
  };
  return {
    async listIpRoutes({ query }, caller) {
      const subsetOf = parseFilter(query.network_subset);
      const supersetOf = parseFilter(query.network_superset);
      const existedAtMs = parseOptionalTime('existed_at', query.existed_at);
      const all = await store.ipRoutes.list(caller.accountTag);
      const wanted = all.filter(route => {
        const prefix = parsePrefix(route.prefix);
        return (
          prefix !== undefined &&
          (query.is_deleted === undefined || (route.deletedAtMs !== undefined) === query.is_deleted) &&
          (query.tunnel_id === undefined || route.tunnelId === query.tunnel_id) &&
          (query.virtual_network_id === undefined || route.networkId === query.virtual_network_id) &&
          (query.comment === undefined || route.comment === query.comment) &&
          (query.route_id === undefined || route.id === query.route_id) &&
          existedAt(route, existedAtMs) &&
          (subsetOf === undefined || prefixCovers(subsetOf, prefix)) &&
          (supersetOf === undefined || prefixCovers(prefix, supersetOf))
        );
      });
      const page = pageOf(wanted, { page: query.page, perPage: perPageOf(query) });
      const known = await names(page.items);
      return { items: page.items.map(route => showDetailed(route, known)), total: page.total };
    },

    addIpRoute: ({ body }, caller) => add(caller, body),

    async readIpRoute({ params }, caller) {
      const all = await store.ipRoutes.list(caller.accountTag);
      // Deleted ones are shown, as deleted tunnels are.
      const route = all.find(one => one.id === params.id.toLowerCase());
      if (route === undefined) throw apiProblem('notFound', 'Route not found');
      return detailed(route);
    },

    updateIpRoute: ({ params, body }, caller) => update(caller, params.id, body),

    deleteIpRoute: ({ params }, caller) => remove(caller, params.id),

    addNamedIpRoute: ({ params, body }, caller) => add(caller, { ...body, network: params.prefix }),

    async updateNamedIpRoute({ params, query, body }, caller) {
      return update(caller, (await requireNamed(caller, params.prefix, query)).id, body);
    },

    async deleteNamedIpRoute({ params, query }, caller) {
      return remove(caller, (await requireNamed(caller, params.prefix, query)).id);
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
      return best === undefined ? null : detailed(best.route);
    },
  };
}

/** Throws 'api.invalid'. */
function requirePrefix(text: string): Prefix {
  const prefix = parsePrefix(text);
  if (prefix !== undefined) return prefix;
  const given = JSON.stringify(text);
  throw apiProblem('invalid', `Invalid network CIDR ${given}: write it like 10.0.0.0/8, with host bits that are zero`);
}

function parseFilter(text: string | undefined): Prefix | undefined {
  if (text === undefined) return undefined;
  const prefix = parsePrefix(text);
  if (prefix === undefined) throw apiProblem('invalid', `Invalid network CIDR ${JSON.stringify(text)}`);
  return prefix;
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
    tun_type: 'cfd_tunnel',
  };
}

function showDetailed(route: IpRouteRecord, names: RouteNames) {
  return {
    ...showIpRoute(route),
    tunnel_name: names.tunnel(route.tunnelId),
    virtual_network_name: names.network(route.networkId),
  };
}
