// Accounts and zones; their tokens are tokens.ts.

import type { AccountRecord, ZoneRecord } from '../contract/records.ts';
import type { AccountStore } from '../contract/store.ts';
import { integer, text } from './columns.ts';
import type { Database, Row } from './database.ts';
import { insertNetwork } from './networks.ts';
import { createTokenCalls } from './tokens.ts';

export function createAccountStore(database: Database): AccountStore {
  return {
    ...createTokenCalls(database),
    async create(account, zone, network) {
      await database.write(async (sql, emit) => {
        await sql.run('INSERT INTO accounts VALUES (?, ?, ?)', account.tag, account.name, account.createdAtMs);
        await sql.run('INSERT INTO zones VALUES (?, ?, ?)', zone.id, account.tag, zone.domain);
        await insertNetwork(sql, network);
        emit({ kind: 'network-changed', network });
      });
    },
    async byName(name) {
      const row = await database.row('SELECT * FROM accounts WHERE name = ?', name);
      return row === undefined ? undefined : toAccount(row);
    },
    async get(tag) {
      const row = await database.row('SELECT * FROM accounts WHERE tag = ?', tag);
      return row === undefined ? undefined : toAccount(row);
    },
    async zone(id) {
      const row = await database.row('SELECT * FROM zones WHERE id = ?', id);
      return row === undefined ? undefined : toZone(row);
    },
    async zonesOf(accountTag) {
      return (await database.rows('SELECT * FROM zones WHERE account_tag = ? ORDER BY domain', accountTag)).map(toZone);
    },
    async setZoneDomain(id, domain) {
      await database.write(async sql => await sql.run('UPDATE zones SET domain = ? WHERE id = ?', domain, id));
    },
  };
}

function toAccount(row: Row): AccountRecord {
  return { tag: text(row, 'tag'), name: text(row, 'name'), createdAtMs: integer(row, 'created_ms') };
}

function toZone(row: Row): ZoneRecord {
  return { id: text(row, 'id'), accountTag: text(row, 'account_tag'), domain: text(row, 'domain') };
}
