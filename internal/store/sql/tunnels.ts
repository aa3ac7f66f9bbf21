// Tunnels, their secrets and remote configurations.

import type { TunnelId } from '../../schema/api/id.ts';
import type { ConfigurationRecord, NewTunnel, TunnelRecord } from '../contract/records.ts';
import type { TunnelFilter, TunnelStore } from '../contract/store.ts';
import { blob, integer, optionalInteger, text, tunnelId } from './columns.ts';
import type { Database, Emit, Row, Sql, SqlValue } from './database.ts';
import { removeHostnamesOf } from './hostnames.ts';
import { ipRoutes } from './ip-routes.ts';
import { privateHostnames } from './private-hostnames.ts';
import { removePublicPortsOf } from './public-ports.ts';
import { removeRoutesOf } from './removable-routes.ts';

export function createTunnelStore(database: Database): TunnelStore {
  const find = async (sql: Sql, id: TunnelId): Promise<TunnelRecord | undefined> => {
    const row = await sql.row('SELECT * FROM tunnels WHERE id = ?', id);
    return row === undefined ? undefined : toTunnel(row);
  };
  const liveIn = async (sql: Sql, accountTag: string, id: TunnelId): Promise<TunnelRecord | undefined> => {
    const tunnel = await find(sql, id);
    return tunnel?.accountTag === accountTag && tunnel.deletedAtMs === undefined ? tunnel : undefined;
  };
  return {
    async create(tunnel) {
      return database.write(async (sql, emit) => await insertTunnel(sql, tunnel, emit));
    },
    async find(id) {
      return await find(database, id);
    },
    async get(accountTag, id) {
      const tunnel = await find(database, id);
      return tunnel?.accountTag === accountTag ? tunnel : undefined;
    },
    async update(accountTag, id, { name, secret, oldSecretUntilMs }) {
      return database.write(async (sql, emit) => {
        const present = await liveIn(sql, accountTag, id);
        if (present === undefined) return undefined;
        if (name !== undefined) await sql.run('UPDATE tunnels SET name = ? WHERE id = ?', name, id);
        if (secret !== undefined) {
          const { hash, sealed } = secret;
          // The right side of an assignment has the values of before.
          const old = oldSecretUntilMs === undefined ? 'NULL' : 'secret_hash';
          const columns = `old_secret_hash = ${old}, old_secret_until_ms = ?, secret_hash = ?, secret_sealed = ?`;
          await sql.run(`UPDATE tunnels SET ${columns} WHERE id = ?`, oldSecretUntilMs ?? null, hash, sealed, id);
          if (oldSecretUntilMs !== undefined) emit({ kind: 'secret-rotated', tunnelId: id });
        }
        return { ...present, name: name ?? present.name };
      });
    },
    async list(accountTag, filter) {
      const { where, values } = whereOf(accountTag, filter);
      const total = await database.row(`SELECT count(*) AS total FROM tunnels WHERE ${where}`, ...values);
      const rows = await database.rows(
        `SELECT * FROM tunnels WHERE ${where} ORDER BY created_ms DESC, id LIMIT ? OFFSET ?`,
        ...values,
        filter.perPage,
        (filter.page - 1) * filter.perPage,
      );
      return { items: rows.map(toTunnel), total: total === undefined ? 0 : integer(total, 'total') };
    },
    async remove(accountTag, id, { atMs, cascade }) {
      return database.write(async (sql, emit) => {
        if ((await liveIn(sql, accountTag, id)) === undefined) return 'missing';
        if (!cascade && (await hasPrivateRoutes(sql, id))) return 'busy';
        await removeRoutesOf(sql, ipRoutes, 'tunnel_id', id, atMs, emit);
        await removeRoutesOf(sql, privateHostnames, 'tunnel_id', id, atMs, emit);
        await removeHostnamesOf(sql, id, emit);
        await removePublicPortsOf(sql, id, emit);
        await sql.run(
          `UPDATE tunnels SET deleted_ms = ?, secret_hash = NULL, secret_sealed = NULL, config = NULL,
           old_secret_hash = NULL, old_secret_until_ms = NULL WHERE id = ?`,
          atMs,
          id,
        );
        emit({ kind: 'tunnel-deleted', tunnelId: id, accountTag });
        return 'removed';
      });
    },
    async secret(id) {
      const row = await database.row(
        `SELECT account_tag, secret_hash, secret_sealed, remote, old_secret_hash, old_secret_until_ms FROM tunnels
         WHERE id = ? AND deleted_ms IS NULL`,
        id,
      );
      if (row === undefined) return undefined;
      const untilMs = optionalInteger(row, 'old_secret_until_ms');
      return {
        accountTag: text(row, 'account_tag'),
        secret: { hash: blob(row, 'secret_hash'), sealed: blob(row, 'secret_sealed') },
        old: untilMs === undefined ? undefined : { hash: blob(row, 'old_secret_hash'), untilMs },
        remote: integer(row, 'remote') === 1,
      };
    },
    async configuration(id) {
      const row = await database.row('SELECT * FROM tunnels WHERE id = ? AND config IS NOT NULL', id);
      return row === undefined ? undefined : toConfiguration(row);
    },
    async setConfiguration(accountTag, id, config, atMs) {
      return database.write(async (sql, emit) => {
        if ((await liveIn(sql, accountTag, id)) === undefined) return undefined;
        const row = await sql.row(
          `UPDATE tunnels SET config = ?, config_ms = ?, config_version = config_version + 1, remote = 1
           WHERE id = ? RETURNING *`,
          config,
          atMs,
          id,
        );
        if (row === undefined) return undefined;
        const configuration = toConfiguration(row);
        emit({ kind: 'configuration', configuration });
        return configuration;
      });
    },
  };
}

/** Inserts a tunnel inside the caller's transaction. */
export async function insertTunnel(sql: Sql, tunnel: NewTunnel, emit: Emit): Promise<TunnelRecord> {
  const { id, accountTag, name, secret, createdAtMs, remote = false } = tunnel;
  await sql.run(
    `INSERT INTO tunnels (id, account_tag, name, secret_hash, secret_sealed, created_ms, remote)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
    ...[id, accountTag, name, secret.hash, secret.sealed, createdAtMs, remote ? 1 : 0],
  );
  const record: TunnelRecord = { id, accountTag, name, createdAtMs, deletedAtMs: undefined, configVersion: 0, remote };
  emit({ kind: 'tunnel-created', tunnel: record });
  return record;
}

async function hasPrivateRoutes(sql: Sql, id: TunnelId): Promise<boolean> {
  const query = (table: string): string => `SELECT 1 FROM ${table} WHERE tunnel_id = ? AND deleted_ms IS NULL LIMIT 1`;
  return (
    (await sql.row(query('ip_routes'), id)) !== undefined ||
    (await sql.row(query('private_hostnames'), id)) !== undefined
  );
}

function whereOf(accountTag: string, filter: TunnelFilter): { where: string; values: SqlValue[] } {
  const parts = ['account_tag = ?'];
  const values: SqlValue[] = [accountTag];
  const add = (sql: string, ...more: SqlValue[]): void => {
    parts.push(sql);
    values.push(...more);
  };
  if (filter.name !== undefined) add('name = ?', filter.name);
  // substr, not LIKE: a prefix may hold % and _.
  if (filter.namePrefix !== undefined) add('substr(name, 1, length(?)) = ?', filter.namePrefix, filter.namePrefix);
  if (filter.excludePrefix !== undefined) {
    add('substr(name, 1, length(?)) <> ?', filter.excludePrefix, filter.excludePrefix);
  }
  if (filter.id !== undefined) add('id = ?', filter.id.toLowerCase());
  if (filter.deleted !== undefined) add(filter.deleted ? 'deleted_ms IS NOT NULL' : 'deleted_ms IS NULL');
  if (filter.existedAtMs !== undefined) {
    add('created_ms <= ? AND (deleted_ms IS NULL OR deleted_ms > ?)', filter.existedAtMs, filter.existedAtMs);
  }
  return { where: parts.join(' AND '), values };
}

function toTunnel(row: Row): TunnelRecord {
  return {
    id: tunnelId(row, 'id'),
    accountTag: text(row, 'account_tag'),
    name: text(row, 'name'),
    createdAtMs: integer(row, 'created_ms'),
    deletedAtMs: optionalInteger(row, 'deleted_ms'),
    configVersion: integer(row, 'config_version'),
    remote: integer(row, 'remote') === 1,
  };
}

function toConfiguration(row: Row): ConfigurationRecord {
  return {
    tunnelId: tunnelId(row, 'id'),
    version: integer(row, 'config_version'),
    config: text(row, 'config'),
    updatedAtMs: integer(row, 'config_ms'),
  };
}
