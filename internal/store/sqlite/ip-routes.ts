// Private IP routes in SQLite.

import type { IpRouteRecord } from '../contract/records.ts';
import type { IpRouteStore } from '../contract/store.ts';
import { text } from './columns.ts';
import type { Database, Row } from './database.ts';
import { requireOwnership } from './ownership.ts';
import { addRoute, listRoutes, type RouteTable, readRoute, removeRoute } from './removable-routes.ts';

/** For those who remove the routes of a tunnel or network that goes. */
export const ipRoutes: RouteTable<IpRouteRecord> = {
  name: 'ip_routes',
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
      return database.write(emit => {
        const row = database.row(
          'SELECT * FROM ip_routes WHERE id = ? AND account_tag = ? AND deleted_ms IS NULL',
          id,
          accountTag,
        );
        if (row === undefined) return undefined;
        const old = toIpRoute(row);
        const route = { ...old, tunnelId: changes.tunnelId ?? old.tunnelId, comment: changes.comment ?? old.comment };
        requireOwnership(database, route);
        database.run('UPDATE ip_routes SET tunnel_id = ?, comment = ? WHERE id = ?', route.tunnelId, route.comment, id);
        emit({ kind: 'ip-route-deleted', route: old });
        emit({ kind: 'ip-route-added', route });
        return route;
      });
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
