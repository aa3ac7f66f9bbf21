// One SQLite file: opening, durability settings, migrations, cached statements, transactions with change events, and the
// translation of SQLite's errors. Durability: write-ahead log with synchronous=FULL, so a commit that returned has been
// synced and a kill at any instruction leaves either all of a transaction or nothing. What may be lost goes without syncing.
// Statements are synchronous: this runs on the store's own thread (thread/), never on the one that carries traffic.

import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { setTimeout as after } from 'node:timers/promises';
import { foreignCode, PosternError } from '../../errors/error.ts';
import type { ChangeFeed, StoreChange } from '../contract/changes.ts';
import type { Database, Emit, Row, Sql, SqlValue } from '../sql/database.ts';

/** How long opening, and a read, may wait inside SQLite: another process makes the same file, or recovers its log. */
const busyTimeoutMs = 5_000;
/** How often a write that waits for another process asks again: each try costs some microseconds. */
const retryLockMs = 5;

export interface DatabaseOptions {
  /** The schema as the steps that led to it. */
  readonly migrations: readonly string[];
  /** Whether a commit is synced before it returns; false for what may be lost in a power cut. */
  readonly durable: boolean;
  /** How long a write waits for its turn: for earlier writes, and for another process that holds the write lock. */
  readonly lockWaitMs: number;
}

/** Owns its file handle until `close`. Throws 'store.failed', 'store.conflict', and 'store.busy' for writes. */
export class SqliteDatabase implements Database {
  readonly #path: string;
  readonly #inner: DatabaseSync;
  readonly #changes: ChangeFeed;
  readonly #migrations: readonly string[];
  readonly #lockWaitMs: number;
  readonly #statements = new Map<string, StatementSync>();
  #dataVersion: number;
  /** Settles when the last write so far is done; never rejects. */
  #lastWrite: Promise<unknown> = Promise.resolve();
  /** Settles when the transaction that is open has ended: reads of others wait for that, on the one connection there is. */
  #transaction: Promise<void> | undefined;
  readonly #sql: Sql = {
    row: async (sql, ...values) => this.#row(sql, values),
    rows: async (sql, ...values) => this.#rows(sql, values),
    run: async (sql, ...values) => this.#run(sql, values),
  };

  /** Opens or makes the file (0600) and brings it to the newest schema. Throws `store.failed`. */
  constructor(path: string, changes: ChangeFeed, { migrations, durable, lockWaitMs }: DatabaseOptions) {
    this.#path = path;
    this.#changes = changes;
    this.#migrations = migrations;
    this.#lockWaitMs = lockWaitMs;
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

  async row(sql: string, ...values: readonly SqlValue[]): Promise<Row | undefined> {
    await this.#betweenTransactions();
    return this.#row(sql, values);
  }

  async rows(sql: string, ...values: readonly SqlValue[]): Promise<Row[]> {
    await this.#betweenTransactions();
    return this.#rows(sql, values);
  }

  async run(sql: string, ...values: readonly SqlValue[]): Promise<number> {
    await this.#betweenTransactions();
    return this.#run(sql, values);
  }

  /** Throws 'store.busy' when the write lock was not to be had in time: nothing was changed then. */
  write<T>(body: (sql: Sql, emit: Emit) => Promise<T>): Promise<T> {
    const deadline = performance.now() + this.#lockWaitMs;
    const turn = this.#lastWrite.then(async () => {
      await this.#beginWrite(deadline);
      return this.#finishWrite(body);
    });
    this.#lastWrite = turn.catch(() => undefined);
    return turn;
  }

  /** Reads the whole file; closes it and throws 'store.failed', which isDamaged knows, when it is damaged. For small ones. */
  requireSound(): void {
    try {
      const [found] = this.#rows('PRAGMA quick_check(1)', []);
      if (found?.quick_check === 'ok') return;
      const cause = Object.assign(new Error(String(found?.quick_check)), { errcode: corruptCode });
      throw new PosternError('store.failed', `The database ${this.#path} is damaged`, { cause });
    } catch (error) {
      // Somebody makes or recovers it just now, and will notice.
      if (error instanceof PosternError && isLocked(error.cause)) return;
      this.#inner.close();
      throw error;
    }
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

  /** After the writes that were called for. */
  async close(): Promise<void> {
    await this.#lastWrite;
    if (this.#inner.isOpen) this.#inner.close();
  }

  /** Takes the write lock. It asks again and again instead of waiting inside SQLite, so that reads are served meanwhile. */
  async #beginWrite(deadline: number): Promise<void> {
    while (!this.#tryBegin()) {
      if (performance.now() >= deadline) {
        throw new PosternError(
          'store.busy',
          `Another program has held the write lock of ${this.#path} for ${this.#lockWaitMs} ms; nothing was changed. ` +
            'End that program, perhaps a backup or an SQL shell, and try again',
        );
      }
      await after(retryLockMs);
    }
  }

  /** Whether the write lock is ours now. */
  #tryBegin(): boolean {
    return this.#guard(() => {
      try {
        this.#inner.exec('PRAGMA busy_timeout = 0; BEGIN IMMEDIATE');
        return true;
      } catch (error) {
        if (isLocked(error)) return false;
        throw error;
      } finally {
        this.#inner.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
      }
    });
  }

  async #finishWrite<T>(body: (sql: Sql, emit: Emit) => Promise<T>): Promise<T> {
    const pending: StoreChange[] = [];
    const ended = Promise.withResolvers<void>();
    this.#transaction = ended.promise;
    try {
      const value = await body(this.#sql, change => pending.push(change));
      this.#guard(() => this.#inner.exec('COMMIT'));
      for (const change of pending) this.#changes.publish(change);
      return value;
    } catch (error) {
      if (this.#inner.isTransaction) this.#guard(() => this.#inner.exec('ROLLBACK'));
      throw error;
    } finally {
      this.#transaction = undefined;
      ended.resolve();
    }
  }

  async #betweenTransactions(): Promise<void> {
    while (this.#transaction !== undefined) await this.#transaction;
  }

  #row(sql: string, values: readonly SqlValue[]): Row | undefined {
    return this.#guard(() => this.#statement(sql).get(...values));
  }

  #rows(sql: string, values: readonly SqlValue[]): Row[] {
    return this.#guard(() => this.#statement(sql).all(...values));
  }

  #run(sql: string, values: readonly SqlValue[]): number {
    return this.#guard(() => Number(this.#statement(sql).run(...values).changes));
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
    return Number(this.#row('PRAGMA data_version', [])?.data_version);
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

/** SQLITE_BUSY, SQLITE_CORRUPT, SQLITE_FULL and SQLITE_NOTADB. */
const busyCode = 5;
const corruptCode = 11;
const fullCode = 13;
const notDatabaseCode = 26;

/** Extended codes have the primary one in their lowest byte. */
function primaryCode(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : undefined;
}

function isLocked(error: unknown): boolean {
  return primaryCode(error) === busyCode;
}

/** Whether the file's own content is at fault. */
export function isDamaged(error: unknown): boolean {
  const code = error instanceof PosternError ? primaryCode(error.cause) : undefined;
  return code === corruptCode || code === notDatabaseCode;
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
    if (primaryCode(error) === fullCode)
      return new PosternError('store.full', `The disk of ${path} is full: nothing was changed`, { cause: error });
    return new PosternError('store.failed', `The database ${path} failed`, { cause: error });
  }
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new PosternError('store.full', `The disk of ${path} is full: nothing was changed`, { cause: error });
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
