// Private host names in SQLite.

import type { PrivateHostnameRecord } from '../contract/records.ts';
import type { PrivateHostnameStore } from '../contract/store.ts';
import { integer, optionalInteger, text, tunnelId } from './columns.ts';
import type { Database, Row } from './database.ts';
import { requireOwnership } from './ownership.ts';
import { listRoutes, type RouteTable, removeRoute } from './removable-routes.ts';

/** For those who remove the names of a tunnel or network that goes. */
export const privateHostnames: RouteTable<PrivateHostnameRecord> = {
  name: 'private_hostnames',
  read: toPrivateHostname,
  deleted: route => ({ kind: 'private-hostname-deleted', route }),
};

export function createPrivateHostnameStore(database: Database): PrivateHostnameStore {
  return {
    async create(route) {
      const { id, accountTag, networkId, hostname, tunnelId: tunnel, comment, createdAtMs } = route;
      await database.write(emit => {
        requireOwnership(database, route);
        database.run(
          'INSERT INTO private_hostnames VALUES (?, ?, ?, ?, ?, ?, ?, NULL)',
          id,
          accountTag,
          networkId,
          hostname,
          tunnel,
          comment,
          createdAtMs,
        );
        emit({ kind: 'private-hostname-added', route });
      });
    },
    async remove(accountTag, id, atMs) {
      return removeRoute(database, privateHostnames, accountTag, id, atMs);
    },
    async list(accountTag) {
      return listRoutes(database, privateHostnames, accountTag);
    },
  };
}

function toPrivateHostname(row: Row): PrivateHostnameRecord {
  return {
    id: text(row, 'id'),
    accountTag: text(row, 'account_tag'),
    networkId: text(row, 'network_id'),
    hostname: text(row, 'hostname'),
    tunnelId: tunnelId(row, 'tunnel_id'),
    comment: text(row, 'comment'),
    createdAtMs: integer(row, 'created_ms'),
    deletedAtMs: optionalInteger(row, 'deleted_ms'),
  };
}
