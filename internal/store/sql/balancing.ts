// Monitors, pools and load balancers. What uses what is a table of its own, so that the database itself refuses to
// remove what is used.

import { PosternError } from '../../errors/error.ts';
import type { BalancingKind, BalancingRecord } from '../contract/records.ts';
import type { BalancingStore } from '../contract/store.ts';
import { integer, text } from './columns.ts';
import type { Database, Row, Sql } from './database.ts';

export function createBalancingStore(database: Database): BalancingStore {
  const find = async (
    sql: Sql,
    accountTag: string,
    kind: BalancingKind,
    id: string,
  ): Promise<BalancingRecord | undefined> => {
    const query = 'SELECT * FROM balancing WHERE id = ? AND account_tag = ? AND kind = ?';
    const row = await sql.row(query, id, accountTag, kind);
    if (row === undefined) return undefined;
    return toRecord(row, await sql.rows('SELECT used_id FROM balancing_uses WHERE user_id = ? ORDER BY used_id', id));
  };
  /** Inside the caller's transaction. */
  const setUses = async (sql: Sql, { id, accountTag, uses }: BalancingRecord): Promise<void> => {
    await sql.run('DELETE FROM balancing_uses WHERE user_id = ?', id);
    for (const used of uses) {
      if ((await sql.row('SELECT 1 FROM balancing WHERE id = ? AND account_tag = ?', used, accountTag)) === undefined)
        throw new PosternError('store.failed', `${used} is not a record of the account`);
      await sql.run('INSERT INTO balancing_uses VALUES (?, ?)', id, used);
    }
  };
  /** Inside the caller's transaction. */
  const requireName = async (sql: Sql, { accountTag, kind, name }: BalancingRecord): Promise<void> => {
    if (kind !== 'balancer') return;
    if (
      (await sql.row('SELECT 1 FROM hostnames WHERE hostname = ? AND account_tag <> ?', name, accountTag)) !== undefined
    )
      throw new PosternError('store.conflict', `The host name ${name} is another account's`);
  };
  return {
    async create(record) {
      const { id, kind, accountTag, zoneId, name, document, version, createdAtMs, modifiedAtMs } = record;
      const values = [id, kind, accountTag, zoneId ?? null, name, document, version, createdAtMs, modifiedAtMs];
      await database.write(async (sql, emit) => {
        await requireName(sql, record);
        await sql.run('INSERT INTO balancing VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)', ...values);
        await setUses(sql, record);
        emit({ kind: 'balancing-changed', record });
      });
    },
    async change(accountTag, kind, id, version, changes) {
      return database.write(async (sql, emit) => {
        const present = await find(sql, accountTag, kind, id);
        if (present === undefined) return 'missing';
        if (present.version !== version) return 'stale';
        const record: BalancingRecord = { ...present, ...changes, version: version + 1 };
        await requireName(sql, record);
        await sql.run(
          'UPDATE balancing SET name = ?, document = ?, version = ?, modified_ms = ? WHERE id = ?',
          ...[record.name, record.document, record.version, record.modifiedAtMs, id],
        );
        await setUses(sql, record);
        emit({ kind: 'balancing-changed', record });
        return record;
      });
    },
    async remove(accountTag, kind, id) {
      return database.write(async (sql, emit) => {
        const record = await find(sql, accountTag, kind, id);
        if (record === undefined) return 'missing';
        if ((await sql.row('SELECT 1 FROM balancing_uses WHERE used_id = ? LIMIT 1', id)) !== undefined) return 'busy';
        await sql.run('DELETE FROM balancing WHERE id = ?', id);
        emit({ kind: 'balancing-removed', record });
        return 'removed';
      });
    },
    async list(accountTag) {
      const rows =
        accountTag === undefined
          ? await database.rows('SELECT * FROM balancing ORDER BY created_ms, id')
          : await database.rows('SELECT * FROM balancing WHERE account_tag = ? ORDER BY created_ms, id', accountTag);
      const uses = Map.groupBy(
        await database.rows('SELECT * FROM balancing_uses ORDER BY used_id'),
        row => row.user_id,
      );
      return rows.map(row => toRecord(row, uses.get(row.id) ?? []));
    },
  };
}

/** `uses`: its rows of `balancing_uses`. */
function toRecord(row: Row, uses: readonly Row[]): BalancingRecord {
  return {
    id: text(row, 'id'),
    kind: text(row, 'kind') as BalancingKind,
    accountTag: text(row, 'account_tag'),
    zoneId: row.zone_id === null ? undefined : text(row, 'zone_id'),
    name: text(row, 'name'),
    document: text(row, 'document'),
    uses: uses.map(use => text(use, 'used_id')),
    version: integer(row, 'version'),
    createdAtMs: integer(row, 'created_ms'),
    modifiedAtMs: integer(row, 'modified_ms'),
  };
}
