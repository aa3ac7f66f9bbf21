// What the tables of private routes have in common: rows belong to an account and are listed in the order they were made;
// a deleted one stays, marked with its time, for the listings that ask for it.

import type { StoreChange } from '../contract/changes.ts';
import type { Database, Row } from './database.ts';

/** One such table: how a row is read, and what a deleted one tells those who follow the store. */
export interface RouteTable<T> {
  readonly name: 'ip_routes' | 'private_hostnames';
  readonly read: (row: Row) => T;
  readonly deleted: (route: T) => StoreChange;
}

/** Marks the live route deleted and returns it, or undefined when the account has none of that id. */
export function removeRoute<T>(
  database: Database,
  table: RouteTable<T>,
  accountTag: string,
  id: string,
  atMs: number,
): Promise<T | undefined> {
  return database.write(emit => {
    const row = database.row(
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
export function listRoutes<T>(database: Database, table: RouteTable<T>, accountTag: string | undefined): T[] {
  const rows =
    accountTag === undefined
      ? database.rows(`SELECT * FROM ${table.name} ORDER BY created_ms, id`)
      : database.rows(`SELECT * FROM ${table.name} WHERE account_tag = ? ORDER BY created_ms, id`, accountTag);
  return rows.map(table.read);
}

/** Marks the live routes of a tunnel or network deleted, inside the caller's transaction. */
export function removeRoutesOf<T>(
  database: Database,
  table: RouteTable<T>,
  column: 'tunnel_id' | 'network_id',
  value: string,
  atMs: number,
  emit: (change: StoreChange) => void,
): void {
  const rows = database.rows(
    `UPDATE ${table.name} SET deleted_ms = ? WHERE ${column} = ? AND deleted_ms IS NULL RETURNING *`,
    atMs,
    value,
  );
  for (const row of rows) emit(table.deleted(table.read(row)));
}
