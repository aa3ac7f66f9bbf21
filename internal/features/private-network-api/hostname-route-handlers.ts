// API calls on private routes by host name; they follow the later public API of the same service.

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
import type { PrivateHostnameRecord } from '../../store/contract/records.ts';
import { conflictsAreRoutes, createRouteLookups, type RouteNames } from './route-lookups.ts';

type HostnameRouteHandlers = Pick<
  ApiHandlers<Caller>,
  'listHostnameRoutes' | 'addHostnameRoute' | 'getHostnameRoute' | 'updateHostnameRoute' | 'deleteHostnameRoute'
>;

export function createHostnameRouteHandlers(parts: Pick<ControlPlaneParts, 'store' | 'now'>): HostnameRouteHandlers {
  const { store, now } = parts;
  const { requireNetwork, names } = createRouteLookups(parts);
  const show = async (route: PrivateHostnameRecord) => showHostname(route, await names([route]));
  return {
    async listHostnameRoutes({ query }, caller) {
      const existedAtMs = parseOptionalTime('existed_at', query.existed_at);
      const all = await store.privateHostnames.list(caller.accountTag);
      const wanted = all.filter(
        route =>
          (query.is_deleted === undefined || (route.deletedAtMs !== undefined) === query.is_deleted) &&
          (query.id === undefined || route.id === query.id) &&
          (query.comment === undefined || route.comment === query.comment) &&
          existedAt(route, existedAtMs) &&
          (query.hostname === undefined || route.hostname.includes(query.hostname.toLowerCase())) &&
          (query.tunnel_id === undefined || route.tunnelId === query.tunnel_id) &&
          (query.virtual_network_id === undefined || route.networkId === query.virtual_network_id),
      );
      const page = pageOf(wanted, { page: query.page, perPage: perPageOf(query) });
      const known = await names(page.items);
      return { items: page.items.map(route => showHostname(route, known)), total: page.total };
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
      await conflictsAreRoutes('host name', () => store.privateHostnames.create(route));
      return show(route);
    },

    async getHostnameRoute({ params }, caller) {
      const all = await store.privateHostnames.list(caller.accountTag);
      const route = all.find(one => one.id === params.id.toLowerCase());
      if (route === undefined) throw apiProblem('notFound', 'Route not found');
      return show(route);
    },

    async updateHostnameRoute({ params, body }, caller) {
      const { hostname, tunnel_id: tunnelId, comment, virtual_network_id: networkId } = body;
      const tunnel = tunnelId === undefined ? undefined : await requireTunnel(parts, caller, tunnelId);
      const network = networkId === undefined ? undefined : await requireNetwork(caller, networkId);
      const changes = {
        hostname: hostname === undefined ? undefined : parsePrivateHostname(hostname),
        tunnelId: tunnel?.id,
        networkId: network?.id,
        comment,
      };
      const route = await conflictsAreRoutes('host name', () =>
        store.privateHostnames.update(caller.accountTag, params.id.toLowerCase(), changes),
      );
      if (route === undefined) throw apiProblem('notFound', 'Route not found');
      return show(route);
    },

    async deleteHostnameRoute({ params }, caller) {
      const route = await store.privateHostnames.remove(caller.accountTag, params.id.toLowerCase(), now());
      if (route === undefined) throw apiProblem('notFound', 'Route not found');
      return show(route);
    },
  };
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

function showHostname(route: PrivateHostnameRecord, names: RouteNames) {
  return {
    id: route.id,
    hostname: route.hostname,
    tunnel_id: route.tunnelId,
    tunnel_name: names.tunnel(route.tunnelId),
    virtual_network_id: route.networkId,
    comment: route.comment,
    created_at: formatTime(route.createdAtMs),
    deleted_at: formatOptionalTime(route.deletedAtMs),
    tun_type: 'cfd_tunnel',
  };
}
