// Monitors, pools and load balancers in SQLite. What uses what is a table of its own, so that the database itself refuses to
// remove what is used.

import { PosternError } from '../../errors/error.ts';
import type { BalancingKind, BalancingRecord } from '../contract/records.ts';
import type { BalancingStore } from '../contract/store.ts';
import { integer, text } from './columns.ts';
import type { Database, Row } from './database.ts';

export function createBalancingStore(database: Database): BalancingStore {
  const usesOf = (id: string): readonly string[] =>
    database
      .rows('SELECT used_id FROM balancing_uses WHERE user_id = ? ORDER BY used_id', id)
      .map(row => text(row, 'used_id'));
  const toRecord = (row: Row): BalancingRecord => ({
    id: text(row, 'id'),
    kind: text(row, 'kind') as BalancingKind,
    accountTag: text(row, 'account_tag'),
    zoneId: row.zone_id === null ? undefined : text(row, 'zone_id'),
    name: text(row, 'name'),
    document: text(row, 'document'),
    uses: usesOf(text(row, 'id')),
    version: integer(row, 'version'),
    createdAtMs: integer(row, 'created_ms'),
    modifiedAtMs: integer(row, 'modified_ms'),
  });
  const find = (accountTag: string, kind: BalancingKind, id: string): BalancingRecord | undefined => {
    const sql = 'SELECT * FROM balancing WHERE id = ? AND account_tag = ? AND kind = ?';
    const row = database.row(sql, id, accountTag, kind);
    return row === undefined ? undefined : toRecord(row);
  };
  /** Inside the caller's transaction. */
  const setUses = ({ id, accountTag, uses }: BalancingRecord): void => {
    database.run('DELETE FROM balancing_uses WHERE user_id = ?', id);
    for (const used of uses) {
      if (database.row('SELECT 1 FROM balancing WHERE id = ? AND account_tag = ?', used, accountTag) === undefined)
        throw new PosternError('store.failed', `${used} is not a record of the account`);
      database.run('INSERT INTO balancing_uses VALUES (?, ?)', id, used);
    }
  };
  /** Inside the caller's transaction. */
  const requireName = ({ accountTag, kind, name }: BalancingRecord): void => {
    if (kind !== 'balancer') return;
    if (database.row('SELECT 1 FROM hostnames WHERE hostname = ? AND account_tag <> ?', name, accountTag) !== undefined)
      throw new PosternError('store.conflict', `The host name ${name} is another account's`);
  };
  return {
    async create(record) {
      const { id, kind, accountTag, zoneId, name, document, version, createdAtMs, modifiedAtMs } = record;
      const values = [id, kind, accountTag, zoneId ?? null, name, document, version, createdAtMs, modifiedAtMs];
      await database.write(emit => {
        requireName(record);
        database.run('INSERT INTO balancing VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)', ...values);
        setUses(record);
        emit({ kind: 'balancing-changed', record });
      });
    },
    async change(accountTag, kind, id, version, changes) {
      return database.write(emit => {
        const present = find(accountTag, kind, id);
        if (present === undefined) return 'missing';
        if (present.version !== version) return 'stale';
        const record: BalancingRecord = { ...present, ...changes, version: version + 1 };
        requireName(record);
        database.run(
          'UPDATE balancing SET name = ?, document = ?, version = ?, modified_ms = ? WHERE id = ?',
          ...[record.name, record.document, record.version, record.modifiedAtMs, id],
        );
        setUses(record);
        emit({ kind: 'balancing-changed', record });
        return record;
      });
    },
    async remove(accountTag, kind, id) {
      return database.write(emit => {
        const record = find(accountTag, kind, id);
        if (record === undefined) return 'missing';
        if (database.row('SELECT 1 FROM balancing_uses WHERE used_id = ? LIMIT 1', id) !== undefined) return 'busy';
        database.run('DELETE FROM balancing WHERE id = ?', id);
        emit({ kind: 'balancing-removed', record });
        return 'removed';
      });
    },
    async list(accountTag) {
      const rows =
        accountTag === undefined
          ? database.rows('SELECT * FROM balancing ORDER BY created_ms, id')
          : database.rows('SELECT * FROM balancing WHERE account_tag = ? ORDER BY created_ms, id', accountTag);
      return rows.map(toRecord);
    },
  };
}
