// Public host names in SQLite.

import type { TunnelId } from '../../schema/api-id.ts';
import type { StoreChange } from '../contract/changes.ts';
import type { HostnameRecord } from '../contract/records.ts';
import type { HostnameStore } from '../contract/store.ts';
import { integer, text, tunnelId } from './columns.ts';
import type { Database, Row } from './database.ts';

export function createHostnameStore(database: Database): HostnameStore {
  const get = (hostname: string): HostnameRecord | undefined => {
    const row = database.row('SELECT * FROM hostnames WHERE hostname = ?', hostname);
    return row === undefined ? undefined : toHostname(row);
  };
  return {
    async route(record, { overwrite }) {
      return database.write(emit => {
        const present = get(record.hostname);
        if (isBalancedByOther(database, record)) return 'foreign';
        if (present === undefined) {
          insertHostname(database, record, emit);
          return 'new';
        }
        if (present.accountTag !== record.accountTag) return 'foreign';
        if (present.tunnelId === record.tunnelId) return 'unchanged';
        if (!overwrite) return 'taken';
        database.run('UPDATE hostnames SET tunnel_id = ? WHERE hostname = ?', record.tunnelId, record.hostname);
        emit({ kind: 'hostname-routed', route: { ...present, tunnelId: record.tunnelId } });
        return 'updated';
      });
    },
    async get(hostname) {
      return get(hostname);
    },
    async list() {
      return database.rows('SELECT * FROM hostnames ORDER BY hostname').map(toHostname);
    },
    async remove(accountTag, hostname) {
      return database.write(emit => {
        const row = database.row(
          'DELETE FROM hostnames WHERE hostname = ? AND account_tag = ? RETURNING *',
          hostname,
          accountTag,
        );
        if (row === undefined) return false;
        emit({ kind: 'hostname-removed', hostname, tunnelId: toHostname(row).tunnelId });
        return true;
      });
    },
  };
}

/** Whether a load balancer of another account has the name. */
function isBalancedByOther(database: Database, { hostname, accountTag }: HostnameRecord): boolean {
  const sql = "SELECT 1 FROM balancing WHERE kind = 'balancer' AND name = ? AND account_tag <> ?";
  return database.row(sql, hostname, accountTag) !== undefined;
}

/** Inserts a host name inside the caller's transaction. */
export function insertHostname(database: Database, record: HostnameRecord, emit: (change: StoreChange) => void): void {
  const { hostname, tunnelId: id, accountTag, createdAtMs } = record;
  database.run('INSERT INTO hostnames VALUES (?, ?, ?, ?)', hostname, id, accountTag, createdAtMs);
  emit({ kind: 'hostname-routed', route: record });
}

/** Removes the names of a tunnel inside the caller's transaction. */
export function removeHostnamesOf(database: Database, id: TunnelId, emit: (change: StoreChange) => void): void {
  for (const row of database.rows('DELETE FROM hostnames WHERE tunnel_id = ? RETURNING *', id)) {
    emit({ kind: 'hostname-removed', hostname: text(row, 'hostname'), tunnelId: id });
  }
}

function toHostname(row: Row): HostnameRecord {
  return {
    hostname: text(row, 'hostname'),
    tunnelId: tunnelId(row, 'tunnel_id'),
    accountTag: text(row, 'account_tag'),
    createdAtMs: integer(row, 'created_ms'),
  };
}
