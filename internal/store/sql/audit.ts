// The audit log: a ring for each account.

import type { AuditEntry } from '../contract/records.ts';
import type { AuditStore } from '../contract/store.ts';
import { integer, optionalText, text } from './columns.ts';
import type { Database, Row, Sql } from './database.ts';

/** Entries kept of one account: some 20 MB, as most entries are below a kilobyte. */
export const maxAuditEntries = 20_000;
/** How often the oldest are looked for: counting them costs a millisecond. */
const trimEvery = 100;

export function createAuditStore(database: Database): AuditStore {
  const trim = async (sql: Sql, accountTag: string): Promise<void> => {
    await sql.run(
      `DELETE FROM audit WHERE account_tag = ?1 AND id <= (
         SELECT id FROM audit WHERE account_tag = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`,
      accountTag,
      maxAuditEntries,
    );
  };
  return {
    async add(entry) {
      await database.write(async sql => {
        const row = await sql.row(
          `INSERT INTO audit (account_tag, at_ms, action, target, user_id, user_name, token_id, token_name, address,
             before, after) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
          entry.accountTag,
          entry.atMs,
          entry.action,
          entry.target,
          entry.userId,
          entry.userName,
          entry.tokenId,
          entry.tokenName,
          entry.address,
          entry.before ?? null,
          entry.after ?? null,
        );
        if (Number(row?.id) % trimEvery === 0) await trim(sql, entry.accountTag);
      });
    },
    async list(accountTag, { sinceMs, beforeMs, user, action, page, perPage }) {
      const conditions = `account_tag = ?1 AND at_ms >= ?2 AND at_ms < ?3
        AND (CAST(?4 AS TEXT) IS NULL OR user_id = ?4 OR user_name = ?4) AND (CAST(?5 AS TEXT) IS NULL OR action = ?5)`;
      const values = [
        accountTag,
        sinceMs ?? 0,
        beforeMs ?? Number.MAX_SAFE_INTEGER,
        user ?? null,
        action ?? null,
      ] as const;
      const rows = await database.rows(
        `SELECT * FROM audit WHERE ${conditions} ORDER BY id DESC LIMIT ?6 OFFSET ?7`,
        ...values,
        perPage,
        (page - 1) * perPage,
      );
      const counted = await database.row(`SELECT count(*) AS total FROM audit WHERE ${conditions}`, ...values);
      return { items: rows.map(toEntry), total: counted === undefined ? 0 : integer(counted, 'total') };
    },
  };
}

function toEntry(row: Row): AuditEntry {
  return {
    id: integer(row, 'id'),
    accountTag: text(row, 'account_tag'),
    atMs: integer(row, 'at_ms'),
    action: text(row, 'action'),
    target: text(row, 'target'),
    userId: text(row, 'user_id'),
    userName: text(row, 'user_name'),
    tokenId: text(row, 'token_id'),
    tokenName: text(row, 'token_name'),
    address: text(row, 'address'),
    before: optionalText(row, 'before'),
    after: optionalText(row, 'after'),
  };
}
