// Copies a store into another, empty one, of either variant: every row of every table, but for who is connected just now.
// The source is read and the target is written in one transaction each, so an error leaves the target empty.

import { existsSync } from 'node:fs';
import { PosternError } from '../../errors/error.ts';
import type { Database, Sql, SqlValue } from '../sql/database.ts';
import { openSqliteDatabases } from '../sqlite/open-tables.ts';
import type { StoreSource } from './store-source.ts';

/** The databases under a store; see sql/store-parts.ts for what each has. */
export interface StoreDatabases extends AsyncDisposable {
  readonly database: Database;
  readonly presence: Database;
  /** Call inside the transaction that brought rows with ids of their own: the next ids go on after them. */
  readonly continueIds: (sql: Sql) => Promise<void>;
}

/** Table → the columns that order its rows. A table stands after those it refers to. */
const tables: Readonly<Record<string, string>> = {
  accounts: 'tag',
  zones: 'id',
  users: 'id',
  groups: 'id',
  group_members: 'group_id, user_id',
  devices: 'id',
  tokens: 'id',
  login_codes: 'digest',
  audit: 'id',
  tunnels: 'id',
  hostnames: 'hostname',
  quick_tunnels: 'tunnel_id',
  networks: 'id',
  ip_routes: 'id',
  private_hostnames: 'id',
  public_ports: 'id',
  balancing: 'id',
  balancing_uses: 'user_id, used_id',
  authority_accounts: 'authority',
  certificates: 'authority, name',
  certificate_orders: 'authority, account_tag, at_ms',
};
/** Of what may be lost: what outlives the edges. */
const presenceTables: Readonly<Record<string, string>> = { token_uses: 'token_id', activity: 'tunnel_id' };

/** Rows of one statement: 500 with 16 columns are 8,000 values, and SQLite takes 32,766. */
const rowsAtOnce = 500;
/** How long the copy waits while an edge writes: longer than any of its transactions. */
const lockWaitMs = 10_000;

/**
 * Resolves to the number of rows by table. Throws 'store.conflict' when the target has something in it, 'file.failed' when
 * the source is not there, and as opening a store does.
 */
export async function copyStore(from: StoreSource, to: StoreSource): Promise<ReadonlyMap<string, number>> {
  if (from.kind === 'sqlite' && !existsSync(from.path))
    throw new PosternError('file.failed', `There is no database ${from.path}: name the state directory of an edge`);
  await using source = await openDatabases(from);
  await using target = await openDatabases(to);
  const counts = new Map<string, number>();
  await source.database.write(reading =>
    target.database.write(async writing => {
      await requireEmpty(writing, placeOf(to));
      for (const [table, order] of Object.entries(tables))
        counts.set(table, await copyTable(reading, writing, table, order));
      await target.continueIds(writing);
      // Before the commit of the rest: a target that has the rest is whole.
      await target.presence.write(async presence => {
        for (const [table, order] of Object.entries(presenceTables)) {
          await presence.run(`DELETE FROM ${table}`);
          counts.set(table, await copyTable(source.presence, presence, table, order));
        }
      });
    }),
  );
  return counts;
}

/** For people, without a password. */
function placeOf(source: StoreSource): string {
  if (source.kind === 'sqlite') return source.path;
  const { host, pathname } = new URL(source.url);
  return `${host}${pathname}`;
}

async function openDatabases(source: StoreSource): Promise<StoreDatabases> {
  if (source.kind === 'sqlite') return openSqliteDatabases(source.path, { lockWaitMs });
  const { openPostgresDatabases } = await import('../postgres/open-databases.ts');
  const { parsePostgresUrl } = await import('../postgres/server.ts');
  return openPostgresDatabases(parsePostgresUrl(source.url, source.password), { lockWaitMs });
}

async function requireEmpty(sql: Sql, place: string): Promise<void> {
  for (const table of Object.keys(tables))
    if ((await sql.row(`SELECT 1 FROM ${table} LIMIT 1`)) !== undefined)
      throw new PosternError(
        'store.conflict',
        `${place} is not empty: it has rows in ${table}. Name an empty database, or a directory without edge.db`,
      );
}

async function copyTable(from: Sql, to: Sql, table: string, order: string): Promise<number> {
  for (let count = 0; ; ) {
    const query = `SELECT * FROM ${table} ORDER BY ${order} LIMIT ? OFFSET ?`;
    const rows = await from.rows(query, rowsAtOnce, count);
    const [first] = rows;
    if (first === undefined) return count;
    const columns = Object.keys(first);
    const places = `(${columns.map(() => '?').join(', ')})`;
    const values = rows.flatMap(row => columns.map(column => row[column] as SqlValue));
    await to.run(`INSERT INTO ${table} (${columns.join(', ')}) VALUES ${rows.map(() => places).join(', ')}`, ...values);
    count += rows.length;
  }
}
