// What the tables of private routes have in common: rows belong to an account and are listed in the order they were made;
// a deleted one stays, marked with its time, for the listings that ask for it.

import type { StoreChange } from '../contract/changes.ts';
import type { IpRouteRecord } from '../contract/records.ts';
import { integer, optionalInteger, text, tunnelId } from './columns.ts';
import type { Database, Emit, Row, Sql } from './database.ts';
import { requireOwnership } from './ownership.ts';

/** What every such row has. */
export type RouteRow = Omit<IpRouteRecord, 'prefix'>;

/** One such table: how a row is read, and what a deleted one tells those who follow the store. */
export interface RouteTable<T extends RouteRow> {
  readonly name: 'ip_routes' | 'private_hostnames';
  /** The column of what the route is for. */
  readonly column: 'prefix' | 'hostname';
  readonly read: (row: Row) => T;
  /** What the route is for: a prefix, a host name. */
  readonly target: (route: T) => string;
  readonly added: (route: T) => StoreChange;
  readonly deleted: (route: T) => StoreChange;
}

/** Adds a route. Rejects 'store.failed' when its tunnel or network is not a live one of the account. */
export function addRoute<T extends RouteRow>(database: Database, table: RouteTable<T>, route: T): Promise<void> {
  const { id, accountTag, networkId, tunnelId, comment, createdAtMs } = route;
  const values = [id, accountTag, networkId, table.target(route), tunnelId, comment, createdAtMs];
  return database.write(async (sql, emit) => {
    await requireOwnership(sql, route);
    await sql.run(`INSERT INTO ${table.name} VALUES (?, ?, ?, ?, ?, ?, ?, NULL)`, ...values);
    emit(table.added(route));
  });
}

/** The columns that the rows of all these tables have. */
export function readRoute(row: Row): RouteRow {
  return {
    id: text(row, 'id'),
    accountTag: text(row, 'account_tag'),
    networkId: text(row, 'network_id'),
    tunnelId: tunnelId(row, 'tunnel_id'),
    comment: text(row, 'comment'),
    createdAtMs: integer(row, 'created_ms'),
    deletedAtMs: optionalInteger(row, 'deleted_ms'),
  };
}

/** Changes a live route; undefined when the account has none of that id. Rejects as `addRoute`. */
export function updateRoute<T extends RouteRow>(
  database: Database,
  table: RouteTable<T>,
  accountTag: string,
  id: string,
  changes: { readonly [Key in keyof T]?: T[Key] | undefined },
): Promise<T | undefined> {
  return database.write(async (sql, emit) => {
    const row = await sql.row(
      `SELECT * FROM ${table.name} WHERE id = ? AND account_tag = ? AND deleted_ms IS NULL`,
      id,
      accountTag,
    );
    if (row === undefined) return undefined;
    const old = table.read(row);
    const given = Object.entries(changes).filter(([, value]) => value !== undefined);
    const route: T = { ...old, ...Object.fromEntries(given) };
    await requireOwnership(sql, route);
    await sql.run(
      `UPDATE ${table.name} SET network_id = ?, ${table.column} = ?, tunnel_id = ?, comment = ? WHERE id = ?`,
      ...[route.networkId, table.target(route), route.tunnelId, route.comment, id],
    );
    emit(table.deleted(old));
    emit(table.added(route));
    return route;
  });
}

/** Marks the live route deleted and returns it, or undefined when the account has none of that id. */
export function removeRoute<T extends RouteRow>(
  database: Database,
  table: RouteTable<T>,
  accountTag: string,
  id: string,
  atMs: number,
): Promise<T | undefined> {
  return database.write(async (sql, emit) => {
    const row = await sql.row(
      `UPDATE ${table.name} SET deleted_ms = ? WHERE id = ? AND account_tag = ? AND deleted_ms IS NULL RETURNING *`,
      atMs,
      id,
      accountTag,
    );
    if (row === undefined) return undefined;
    const route = table.read(row);
    emit(table.deleted(route));
    return route;
  });
}

/** The routes of an account, or of all accounts, deleted ones included. */
export async function listRoutes<T extends RouteRow>(
  sql: Sql,
  table: RouteTable<T>,
  accountTag: string | undefined,
): Promise<T[]> {
  const rows =
    accountTag === undefined
      ? await sql.rows(`SELECT * FROM ${table.name} ORDER BY created_ms, id`)
      : await sql.rows(`SELECT * FROM ${table.name} WHERE account_tag = ? ORDER BY created_ms, id`, accountTag);
  return rows.map(table.read);
}

/** Marks the live routes of a tunnel or network deleted, inside the caller's transaction. */
export async function removeRoutesOf<T extends RouteRow>(
  sql: Sql,
  table: RouteTable<T>,
  column: 'tunnel_id' | 'network_id',
  value: string,
  atMs: number,
  emit: Emit,
): Promise<void> {
  const rows = await sql.rows(
    `UPDATE ${table.name} SET deleted_ms = ? WHERE ${column} = ? AND deleted_ms IS NULL RETURNING *`,
    atMs,
    value,
  );
  for (const row of rows) emit(table.deleted(table.read(row)));
}
