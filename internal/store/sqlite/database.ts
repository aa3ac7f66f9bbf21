// One SQLite file: opening, durability settings, migrations, cached statements, transactions with change events, and the
// translation of SQLite's errors. Durability: write-ahead log with synchronous=FULL, so a commit that returned has been
// synced and a kill at any instruction leaves either all of a transaction or nothing. What may be lost goes without syncing.

import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { foreignCode, PosternError } from '../../errors/error.ts';
import type { ChangeFeed, StoreChange } from '../contract/changes.ts';

export type Row = Readonly<Record<string, unknown>>;

/** How long a statement waits for another process's write: longer than any of our transactions, shorter than an API call. */
export const busyTimeoutMs = 5_000;

export interface DatabaseOptions {
  /** The schema as the steps that led to it. */
  readonly migrations: readonly string[];
  /** Whether a commit is synced before it returns; false for what may be lost in a power cut. */
  readonly durable: boolean;
}

/** Owns its file handle until `close`. Everything is synchronous and throws 'store.failed' or 'store.conflict'. */
export class Database {
  readonly #path: string;
  readonly #inner: DatabaseSync;
  readonly #changes: ChangeFeed;
  readonly #migrations: readonly string[];
  readonly #statements = new Map<string, StatementSync>();
  #dataVersion: number;

  /** Opens or makes the file (0600) and brings it to the newest schema. Throws `store.failed`. */
  constructor(path: string, changes: ChangeFeed, { migrations, durable }: DatabaseOptions) {
    this.#path = path;
    this.#changes = changes;
    this.#migrations = migrations;
    this.#inner = this.#guard(() => {
      makePrivate(path);
      return new DatabaseSync(path, { timeout: busyTimeoutMs, enableForeignKeyConstraints: true });
    });
    try {
      this.#guard(() => {
        const synchronous = durable ? 'FULL' : 'NORMAL';
        this.#inner.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}; PRAGMA trusted_schema = OFF`);
        this.#migrate();
      });
      this.#dataVersion = this.#readDataVersion();
    } catch (error) {
      this.#inner.close();
      throw error;
    }
  }

  /** The only or first row of a query. */
  row(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#guard(() => this.#statement(sql).get(...values));
  }

  rows(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#guard(() => this.#statement(sql).all(...values));
  }

  /** Runs a change and returns the number of rows it touched. Call inside `write`. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return this.#guard(() => Number(this.#statement(sql).run(...values).changes));
  }

  /**
   * Runs `body` in one transaction: all of it or, when it throws, nothing. What it passes to `emit` is published after
   * the commit.
   */
  write<T>(body: (emit: (change: StoreChange) => void) => T): T {
    const pending: StoreChange[] = [];
    const result = this.#guard(() => {
      this.#inner.exec('BEGIN IMMEDIATE');
      try {
        const value = body(change => pending.push(change));
        this.#inner.exec('COMMIT');
        return value;
      } catch (error) {
        if (this.#inner.isTransaction) this.#inner.exec('ROLLBACK');
        throw error;
      }
    });
    for (const change of pending) this.#changes.publish(change);
    return result;
  }

  /** Publishes a `reset` when another process has changed the file since the last call. */
  noticeForeignChanges(): void {
    let version: number;
    try {
      version = this.#readDataVersion();
    } catch {
      // Runs from a timer that nobody waits for: the next look tries again, and a lasting failure shows at the next call.
      return;
    }
    if (version === this.#dataVersion) return;
    this.#dataVersion = version;
    this.#changes.publish({ kind: 'reset' });
  }

  close(): void {
    if (this.#inner.isOpen) this.#inner.close();
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#inner.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /** `data_version` differs when another connection committed; our own commits leave it alone. */
  #readDataVersion(): number {
    return Number(this.row('PRAGMA data_version')?.data_version);
  }

  #migrate(): void {
    const migrations = this.#migrations;
    const have = (): number => Number(this.#inner.prepare('PRAGMA user_version').get()?.user_version);
    if (have() > migrations.length) {
      throw new PosternError(
        'store.failed',
        `${this.#path} was written by a newer Postern (schema ${have()}, this one knows ${migrations.length})`,
      );
    }
    // Two edges may start at once: the version is read again under the write lock.
    while (have() < migrations.length) {
      this.#inner.exec('BEGIN IMMEDIATE');
      const version = have();
      const sql = migrations[version];
      if (sql !== undefined) this.#inner.exec(`${sql}; PRAGMA user_version = ${version + 1}`);
      this.#inner.exec('COMMIT');
    }
  }

  #guard<T>(body: () => T): T {
    try {
      return body();
    } catch (error) {
      throw translate(error, this.#path);
    }
  }
}

/** SQLITE_CONSTRAINT_UNIQUE and SQLITE_CONSTRAINT_PRIMARYKEY of SQLite's extended result codes. */
const conflictCodes = [2067, 1555];

function translate(error: unknown, path: string): unknown {
  if (error instanceof PosternError) return error;
  const code = foreignCode(error);
  if (code === 'ERR_SQLITE_ERROR' && error instanceof Error && 'errcode' in error) {
    if (conflictCodes.includes(Number(error.errcode))) {
      return new PosternError('store.conflict', 'That name or route exists already', { cause: error });
    }
    return new PosternError('store.failed', `The database ${path} failed`, { cause: error });
  }
  if (code !== undefined)
    return new PosternError('store.failed', `The database ${path} cannot be used`, { cause: error });
  return error;
}

/** SQLite makes its files with the umask's mode, and its log files with that of the database: so make that one first. */
function makePrivate(path: string): void {
  if (path === ':memory:') return;
  closeSync(openSync(path, 'a', 0o600));
  chmodSync(path, 0o600);
}
