// Private host names in SQLite.

import type { StoreChange } from '../changes.ts';
import type { PrivateHostnameRecord } from '../records.ts';
import type { PrivateHostnameStore } from '../store.ts';
import { integer, optionalInteger, text, tunnelId } from './columns.ts';
import type { Database, Row } from './database.ts';
import { requireOwnership } from './ownership.ts';

export function createPrivateHostnameStore(database: Database): PrivateHostnameStore {
  return {
    async create(route) {
      const { id, accountTag, networkId, hostname, tunnelId: tunnel, comment, createdAtMs } = route;
      database.write(emit => {
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
      return database.write(emit => {
        const row = database.row(
          'UPDATE private_hostnames SET deleted_ms = ? WHERE id = ? AND account_tag = ? AND deleted_ms IS NULL RETURNING *',
          atMs,
          id,
          accountTag,
        );
        if (row === undefined) return undefined;
        const route = toPrivateHostname(row);
        emit({ kind: 'private-hostname-deleted', route });
        return route;
      });
    },
    async list(accountTag) {
      const rows =
        accountTag === undefined
          ? database.rows('SELECT * FROM private_hostnames ORDER BY created_ms, id')
          : database.rows('SELECT * FROM private_hostnames WHERE account_tag = ? ORDER BY created_ms, id', accountTag);
      return rows.map(toPrivateHostname);
    },
  };
}

/** Marks the live names of a tunnel or network deleted, inside the caller's transaction. */
export function removePrivateHostnames(
  database: Database,
  column: 'tunnel_id' | 'network_id',
  value: string,
  atMs: number,
  emit: (change: StoreChange) => void,
): void {
  const rows = database.rows(
    `UPDATE private_hostnames SET deleted_ms = ? WHERE ${column} = ? AND deleted_ms IS NULL RETURNING *`,
    atMs,
    value,
  );
  for (const row of rows) emit({ kind: 'private-hostname-deleted', route: toPrivateHostname(row) });
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
