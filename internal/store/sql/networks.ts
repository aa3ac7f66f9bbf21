// Virtual networks. That an account has exactly one default network is kept by a partial unique index (at most
// one) and by never taking the mark away except by giving it to another (at least one).

import type { NetworkRecord } from '../contract/records.ts';
import type { NetworkStore } from '../contract/store.ts';
import { integer, optionalInteger, text } from './columns.ts';
import type { Database, Row, Sql } from './database.ts';
import { ipRoutes } from './ip-routes.ts';
import { privateHostnames } from './private-hostnames.ts';
import { removeRoutesOf } from './removable-routes.ts';

export function createNetworkStore(database: Database): NetworkStore {
  const get = async (sql: Sql, accountTag: string, id: string): Promise<NetworkRecord | undefined> => {
    const row = await sql.row('SELECT * FROM networks WHERE id = ? AND account_tag = ?', id, accountTag);
    return row === undefined ? undefined : toNetwork(row);
  };
  const demoteDefault = async (sql: Sql, accountTag: string): Promise<NetworkRecord | undefined> => {
    const row = await sql.row(
      'UPDATE networks SET is_default = 0 WHERE account_tag = ? AND is_default = 1 RETURNING *',
      accountTag,
    );
    return row === undefined ? undefined : toNetwork(row);
  };
  return {
    async create(network) {
      await database.write(async (sql, emit) => {
        const former = network.isDefault ? await demoteDefault(sql, network.accountTag) : undefined;
        await insertNetwork(sql, network);
        if (former !== undefined) emit({ kind: 'network-changed', network: former });
        emit({ kind: 'network-changed', network });
      });
    },
    async update(accountTag, id, changes) {
      return database.write(async (sql, emit) => {
        const present = await get(sql, accountTag, id);
        if (present === undefined || present.deletedAtMs !== undefined) return undefined;
        const becomesDefault = changes.isDefault === true && !present.isDefault;
        const former = becomesDefault ? await demoteDefault(sql, accountTag) : undefined;
        const network: NetworkRecord = {
          ...present,
          name: changes.name ?? present.name,
          comment: changes.comment ?? present.comment,
          isDefault: present.isDefault || becomesDefault,
        };
        await sql.run(
          'UPDATE networks SET name = ?, comment = ?, is_default = ? WHERE id = ?',
          network.name,
          network.comment,
          network.isDefault ? 1 : 0,
          id,
        );
        if (former !== undefined) emit({ kind: 'network-changed', network: former });
        emit({ kind: 'network-changed', network });
        return network;
      });
    },
    async remove(accountTag, id, { atMs, force }) {
      return database.write(async (sql, emit) => {
        const present = await get(sql, accountTag, id);
        if (present === undefined || present.deletedAtMs !== undefined) return 'missing';
        if (present.isDefault) return 'default';
        if (!force && (await hasRoutes(sql, id))) return 'busy';
        await removeRoutesOf(sql, ipRoutes, 'network_id', id, atMs, emit);
        await removeRoutesOf(sql, privateHostnames, 'network_id', id, atMs, emit);
        await sql.run('UPDATE networks SET deleted_ms = ? WHERE id = ?', atMs, id);
        emit({ kind: 'network-deleted', networkId: id });
        return 'removed';
      });
    },
    async get(accountTag, id) {
      return await get(database, accountTag, id);
    },
    async list(accountTag) {
      const rows =
        accountTag === undefined
          ? await database.rows('SELECT * FROM networks ORDER BY created_ms, id')
          : await database.rows('SELECT * FROM networks WHERE account_tag = ? ORDER BY created_ms, id', accountTag);
      return rows.map(toNetwork);
    },
  };
}

/** Inserts a network inside the caller's transaction. */
export async function insertNetwork(sql: Sql, network: NetworkRecord): Promise<void> {
  await sql.run(
    'INSERT INTO networks (id, account_tag, name, comment, is_default, created_ms) VALUES (?, ?, ?, ?, ?, ?)',
    network.id,
    network.accountTag,
    network.name,
    network.comment,
    network.isDefault ? 1 : 0,
    network.createdAtMs,
  );
}

async function hasRoutes(sql: Sql, id: string): Promise<boolean> {
  const query = (table: string): string => `SELECT 1 FROM ${table} WHERE network_id = ? AND deleted_ms IS NULL LIMIT 1`;
  return (
    (await sql.row(query('ip_routes'), id)) !== undefined ||
    (await sql.row(query('private_hostnames'), id)) !== undefined
  );
}

function toNetwork(row: Row): NetworkRecord {
  return {
    id: text(row, 'id'),
    accountTag: text(row, 'account_tag'),
    name: text(row, 'name'),
    comment: text(row, 'comment'),
    isDefault: integer(row, 'is_default') === 1,
    createdAtMs: integer(row, 'created_ms'),
    deletedAtMs: optionalInteger(row, 'deleted_ms'),
  };
}
