// What the tables of the store need of an SQL database: both variants, SQLite and PostgreSQL, run the same statements. These
// keep to what both understand; placeholders are `?`, or `?1` where a value is used twice. Times and flags are integers.

import type { StoreChange } from '../contract/changes.ts';

export type Row = Readonly<Record<string, unknown>>;
export type SqlValue = string | number | Uint8Array | null;
export type Emit = (change: StoreChange) => void;

/** Runs statements. Rejects 'store.failed', 'store.conflict', 'store.busy', 'store.full' and 'store.away'. */
export interface Sql {
  /** The only or first row of a query. */
  row(sql: string, ...values: readonly SqlValue[]): Promise<Row | undefined>;
  rows(sql: string, ...values: readonly SqlValue[]): Promise<Row[]>;
  /** Runs a change and gives the number of rows it touched. Call inside `write`. */
  run(sql: string, ...values: readonly SqlValue[]): Promise<number>;
}

export interface Database extends Sql {
  /**
   * Runs `body` in one transaction: all of it or, when it rejects, nothing. Its statements go to the `sql` that it is given,
   * one after the other, and never to the database: that waits for the end of the transaction. What it passes to `emit` is
   * told after the commit. Writes follow each other, whoever opened the same database; reads need not wait for them, and see
   * nothing of one that is not committed.
   */
  write<T>(body: (sql: Sql, emit: Emit) => Promise<T>): Promise<T>;
}
