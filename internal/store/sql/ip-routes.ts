// Private IP routes.

import type { IpRouteRecord } from '../contract/records.ts';
import type { IpRouteStore } from '../contract/store.ts';
import { text } from './columns.ts';
import type { Database, Row } from './database.ts';
import { addRoute, listRoutes, type RouteTable, readRoute, removeRoute, updateRoute } from './removable-routes.ts';

/** For those who remove the routes of a tunnel or network that goes. */
export const ipRoutes: RouteTable<IpRouteRecord> = {
  name: 'ip_routes',
  column: 'prefix',
  read: toIpRoute,
  target: route => route.prefix,
  added: route => ({ kind: 'ip-route-added', route }),
  deleted: route => ({ kind: 'ip-route-deleted', route }),
};

export function createIpRouteStore(database: Database): IpRouteStore {
  return {
    async create(route) {
      await addRoute(database, ipRoutes, route);
    },
    async update(accountTag, id, changes) {
      return updateRoute(database, ipRoutes, accountTag, id, changes);
    },
    async remove(accountTag, id, atMs) {
      return removeRoute(database, ipRoutes, accountTag, id, atMs);
    },
    async list(accountTag) {
      return listRoutes(database, ipRoutes, accountTag);
    },
  };
}

function toIpRoute(row: Row): IpRouteRecord {
  return { ...readRoute(row), prefix: text(row, 'prefix') };
}
