// Public host names.

import { PosternError } from '../../errors/error.ts';
import { createTag, type TunnelId } from '../../schema/api/id.ts';
import type { HostnameRecord, HostnameTls, NewHostname } from '../contract/records.ts';
import type { HostnameStore } from '../contract/store.ts';
import { integer, text, tunnelId } from './columns.ts';
import type { Database, Emit, Row, Sql } from './database.ts';
import { requireTunnelOf } from './ownership.ts';

export function createHostnameStore(database: Database): HostnameStore {
  const get = async (sql: Sql, hostname: string): Promise<HostnameRecord | undefined> => {
    const row = await sql.row('SELECT * FROM hostnames WHERE hostname = ?', hostname);
    return row === undefined ? undefined : toHostname(row);
  };
  return {
    async route(record, { overwrite }) {
      return database.write(async (sql, emit) => {
        const present = await get(sql, record.hostname);
        if (await isBalancedByOther(sql, record)) return 'foreign';
        if (present === undefined) {
          await insertHostname(sql, record, emit);
          return 'new';
        }
        if (present.accountTag !== record.accountTag) return 'foreign';
        const { tunnelId: leads, tls = present.tls } = record;
        if (present.tunnelId === leads && present.tls === tls) return 'unchanged';
        if (present.tunnelId !== leads && !overwrite) return 'taken';
        await change(sql, present, { tunnelId: leads, tls, atMs: record.createdAtMs }, emit);
        return 'updated';
      });
    },
    async get(hostname) {
      return await get(database, hostname);
    },
    async list(accountTag) {
      const rows =
        accountTag === undefined
          ? await database.rows('SELECT * FROM hostnames ORDER BY hostname')
          : await database.rows('SELECT * FROM hostnames WHERE account_tag = ? ORDER BY hostname', accountTag);
      return rows.map(toHostname);
    },
    async update(accountTag, id, changes) {
      return database.write(async (sql, emit) => {
        const row = await sql.row('SELECT * FROM hostnames WHERE id = ? AND account_tag = ?', id, accountTag);
        if (row === undefined) return undefined;
        if (changes.tunnelId !== undefined) await requireTunnelOf(sql, accountTag, changes.tunnelId);
        const hostname = changes.hostname ?? toHostname(row).hostname;
        if (await isBalancedByOther(sql, { hostname, accountTag }))
          throw new PosternError('store.conflict', `The host name ${hostname} is another account's`);
        return await change(sql, toHostname(row), changes, emit);
      });
    },
    async remove(accountTag, id) {
      return database.write(async (sql, emit) => {
        const row = await sql.row('DELETE FROM hostnames WHERE id = ? AND account_tag = ? RETURNING *', id, accountTag);
        if (row === undefined) return false;
        const { hostname, tunnelId: leads } = toHostname(row);
        emit({ kind: 'hostname-removed', hostname, tunnelId: leads });
        return true;
      });
    },
  };
}

/** Whether a load balancer of another account has the name. */
async function isBalancedByOther(
  sql: Sql,
  { hostname, accountTag }: Pick<HostnameRecord, 'accountTag' | 'hostname'>,
): Promise<boolean> {
  const query = "SELECT 1 FROM balancing WHERE kind = 'balancer' AND name = ? AND account_tag <> ?";
  return (await sql.row(query, hostname, accountTag)) !== undefined;
}

/** Changes a host name inside the caller's transaction. */
async function change(
  sql: Sql,
  old: HostnameRecord,
  { atMs, ...changes }: Parameters<HostnameStore['update']>[2],
  emit: Emit,
): Promise<HostnameRecord> {
  const route: HostnameRecord = {
    ...old,
    hostname: changes.hostname ?? old.hostname,
    tunnelId: changes.tunnelId ?? old.tunnelId,
    comment: changes.comment ?? old.comment,
    tls: changes.tls ?? old.tls,
    modifiedAtMs: atMs,
  };
  await sql.run(
    'UPDATE hostnames SET hostname = ?, tunnel_id = ?, comment = ?, tls = ?, modified_ms = ? WHERE id = ?',
    ...[route.hostname, route.tunnelId, route.comment, route.tls, atMs, old.id],
  );
  if (route.hostname !== old.hostname)
    emit({ kind: 'hostname-removed', hostname: old.hostname, tunnelId: old.tunnelId });
  emit({ kind: 'hostname-routed', route });
  return route;
}

/** Inserts a host name inside the caller's transaction. */
export async function insertHostname(sql: Sql, record: NewHostname, emit: Emit): Promise<void> {
  const { comment = '', tls = 'terminate', createdAtMs } = record;
  const route: HostnameRecord = { ...record, comment, tls, id: createTag(), modifiedAtMs: createdAtMs };
  await sql.run(
    `INSERT INTO hostnames (id, hostname, tunnel_id, account_tag, comment, tls, created_ms, modified_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    ...[route.id, route.hostname, route.tunnelId, route.accountTag, comment, tls, createdAtMs, createdAtMs],
  );
  emit({ kind: 'hostname-routed', route });
}

/** Removes the names of a tunnel inside the caller's transaction. */
export async function removeHostnamesOf(sql: Sql, id: TunnelId, emit: Emit): Promise<void> {
  for (const row of await sql.rows('DELETE FROM hostnames WHERE tunnel_id = ? RETURNING *', id)) {
    emit({ kind: 'hostname-removed', hostname: text(row, 'hostname'), tunnelId: id });
  }
}

function toHostname(row: Row): HostnameRecord {
  return {
    id: text(row, 'id'),
    hostname: text(row, 'hostname'),
    tunnelId: tunnelId(row, 'tunnel_id'),
    accountTag: text(row, 'account_tag'),
    comment: text(row, 'comment'),
    tls: text(row, 'tls') as HostnameTls,
    createdAtMs: integer(row, 'created_ms'),
    modifiedAtMs: integer(row, 'modified_ms'),
  };
}
