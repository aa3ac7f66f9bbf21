// Private IP routes in SQLite.

import type { IpRouteRecord } from '../contract/records.ts';
import type { IpRouteStore } from '../contract/store.ts';
import { integer, optionalInteger, text, tunnelId } from './columns.ts';
import type { Database, Row } from './database.ts';
import { requireOwnership } from './ownership.ts';
import { listRoutes, type RouteTable, removeRoute } from './removable-routes.ts';

/** For those who remove the routes of a tunnel or network that goes. */
export const ipRoutes: RouteTable<IpRouteRecord> = {
  name: 'ip_routes',
  read: toIpRoute,
  deleted: route => ({ kind: 'ip-route-deleted', route }),
};

export function createIpRouteStore(database: Database): IpRouteStore {
  return {
    async create(route) {
      const { id, accountTag, networkId, prefix, tunnelId: tunnel, comment, createdAtMs } = route;
      await database.write(emit => {
        requireOwnership(database, route);
        database.run(
          'INSERT INTO ip_routes VALUES (?, ?, ?, ?, ?, ?, ?, NULL)',
          id,
          accountTag,
          networkId,
          prefix,
          tunnel,
          comment,
          createdAtMs,
        );
        emit({ kind: 'ip-route-added', route });
      });
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
  return {
    id: text(row, 'id'),
    accountTag: text(row, 'account_tag'),
    networkId: text(row, 'network_id'),
    prefix: text(row, 'prefix'),
    tunnelId: tunnelId(row, 'tunnel_id'),
    comment: text(row, 'comment'),
    createdAtMs: integer(row, 'created_ms'),
    deletedAtMs: optionalInteger(row, 'deleted_ms'),
  };
}
