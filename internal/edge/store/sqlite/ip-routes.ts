// Private IP routes in SQLite.

import type { StoreChange } from '../changes.ts';
import type { IpRouteRecord } from '../records.ts';
import type { IpRouteStore } from '../store.ts';
import { integer, optionalInteger, text, tunnelId } from './columns.ts';
import type { Database, Row } from './database.ts';
import { requireOwnership } from './ownership.ts';

export function createIpRouteStore(database: Database): IpRouteStore {
  return {
    async create(route) {
      const { id, accountTag, networkId, prefix, tunnelId: tunnel, comment, createdAtMs } = route;
      database.write(emit => {
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
    async remove(accountTag, id, atMs) {
      return database.write(emit => {
        const row = database.row(
          'UPDATE ip_routes SET deleted_ms = ? WHERE id = ? AND account_tag = ? AND deleted_ms IS NULL RETURNING *',
          atMs,
          id,
          accountTag,
        );
        if (row === undefined) return undefined;
        const route = toIpRoute(row);
        emit({ kind: 'ip-route-deleted', route });
        return route;
      });
    },
    async list(accountTag) {
      const rows =
        accountTag === undefined
          ? database.rows('SELECT * FROM ip_routes ORDER BY created_ms, id')
          : database.rows('SELECT * FROM ip_routes WHERE account_tag = ? ORDER BY created_ms, id', accountTag);
      return rows.map(toIpRoute);
    },
  };
}

/** Marks the live routes of a tunnel or network deleted, inside the caller's transaction. */
export function removeIpRoutes(
  database: Database,
  column: 'tunnel_id' | 'network_id',
  value: string,
  atMs: number,
  emit: (change: StoreChange) => void,
): void {
  const rows = database.rows(
    `UPDATE ip_routes SET deleted_ms = ? WHERE ${column} = ? AND deleted_ms IS NULL RETURNING *`,
    atMs,
    value,
  );
  for (const row of rows) emit({ kind: 'ip-route-deleted', route: toIpRoute(row) });
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
