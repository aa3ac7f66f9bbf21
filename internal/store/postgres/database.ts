// A PostgreSQL database as the tables of the store need it: a pool of connections, transactions under a lock, and the answer
// to a server that goes away. Transactions of the configuration follow each other on all edges, under one advisory lock, as
// SQLite has it too: changes have one order, and a check of one statement holds for the next. Settings of a session are made
// inside its transaction only, so that PgBouncer may stand between.
//
//   up ──connection fault──▶ away: calls are refused at once, a look every second ──it answers──▶ up

import { Client, type ClientConfig, Pool, type PoolClient, type QueryResult } from 'pg';
import { PosternError } from '../../errors/error.ts';
import type { StoreChange } from '../contract/changes.ts';
import type { Database, Emit, Row, Sql, SqlValue } from '../sql/database.ts';
import type { ChangeLog } from './change-log.ts';
import { isAway, translate } from './errors.ts';
import { type PostgresServer, statementTimeoutMs } from './server.ts';

/** Connections of one edge. Reads take a millisecond each; PostgreSQL grants 100 connections by default, to all edges. */
const maxConnections = 6;
/** An idle connection is closed after this; a server process costs some megabytes. */
const idleTimeoutMs = 60_000;
/** Calls that wait for a connection or for their turn. As the queue of the SQLite variant (sqlite/thread/store-thread.ts). */
const maxWaiting = 8_192;
/** How often a server that is away is looked for. */
const lookAgainMs = 1_000;

export interface PoolEvents {
  /** The server went away, with the reason, or is back. Must not throw. */
  readonly onReachable: (reachable: boolean, reason?: PosternError) => void;
}

/** The connections to one server. */
export class PostgresPool {
  readonly #pool: Pool;
  readonly #events: PoolEvents;
  readonly #config: ClientConfig;
  readonly place: string;
  #away: PosternError | undefined;
  #look: NodeJS.Timeout | undefined;
  #closed: Promise<void> | undefined;
  #probing: Promise<boolean> | undefined;

  constructor({ config, place }: PostgresServer, events: PoolEvents) {
    this.place = place;
    this.#config = config;
    this.#events = events;
    this.#pool = new Pool({ ...config, max: maxConnections, idleTimeoutMillis: idleTimeoutMs, allowExitOnIdle: true });
    // A connection that breaks while it is idle leaves the pool by itself; one that is in use fails its statement.
    this.#pool.on('error', () => undefined);
    this.#pool.on('connect', client => client.on('error', () => undefined));
  }

  get reachable(): boolean {
    return this.#away === undefined;
  }

  /** Runs `use` on a connection of its own. Rejects 'store.away' at once while the server is away. */
  async with<T>(use: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    let fault: unknown;
    try {
      return await use(client);
    } catch (error) {
      fault = error;
      throw error;
    } finally {
      client.release(fault !== undefined && isAway(fault));
    }
  }

  /** One statement. A read whose connection broke is made once more when the server answers others. */
  async query(sql: string, values: readonly SqlValue[]): Promise<QueryResult<Row>> {
    const once = (): Promise<QueryResult<Row>> => this.with(client => client.query<Row>(sql, [...values]));
    try {
      return await once();
    } catch (error) {
      if (error instanceof PosternError) throw error;
      if (!isAway(error)) throw translate(error, this.place);
      if (!(await this.#probe())) throw this.#away ?? translate(error, this.place);
    }
    try {
      return await once();
    } catch (error) {
      throw translate(error, this.place);
    }
  }

  /** Looks whether the server answers, because something seemed otherwise. Never rejects. */
  #probe(): Promise<boolean> {
    this.#probing ??= this.#ask().finally(() => {
      this.#probing = undefined;
    });
    return this.#probing;
  }

  /** Tells the pool of a fault that was met outside a call of `query`. */
  async suspect(error: unknown): Promise<void> {
    if (isAway(error)) await this.#probe();
  }

  close(): Promise<void> {
    clearTimeout(this.#look);
    this.#closed ??= this.#pool.end();
    return this.#closed;
  }

  async #connect(): Promise<PoolClient> {
    this.#requireOpen();
    if (this.#away !== undefined) throw this.#away;
    if (this.#pool.waitingCount >= maxWaiting)
      throw new PosternError('store.busy', `${maxWaiting} calls wait for ${this.place} already: try again later`);
    try {
      return await this.#pool.connect();
    } catch (error) {
      this.#requireOpen();
      // A full pool and an absent server look alike here: asking on a connection of its own tells them apart.
      if (await this.#probe()) throw new PosternError('store.busy', `No connection to ${this.place} was free in time`);
      throw this.#away ?? translate(error, this.place);
    }
  }

  #requireOpen(): void {
    if (this.#closed !== undefined) throw new PosternError('store.failed', `The store ${this.place} is closed`);
  }

  /** On a connection of its own: those of the pool may all be in use, or broken. */
  async #ask(): Promise<boolean> {
    const client = new Client(this.#config);
    client.on('error', () => undefined);
    try {
      await client.connect();
      const { rows } = await client.query<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby');
      if (rows[0]?.standby === true)
        throw new PosternError('store.away', `${this.place} is a standby: it takes no writes`);
      this.#setAway(undefined);
      return true;
    } catch (error) {
      this.#setAway(translate(error, this.place));
      return false;
    } finally {
      void client.end().catch(() => undefined);
    }
  }

  #setAway(reason: PosternError | undefined): void {
    const was = this.#away;
    this.#away = reason;
    clearTimeout(this.#look);
    if (reason !== undefined && this.#closed === undefined) {
      this.#look = setTimeout(() => void this.#probe(), lookAgainMs);
      this.#look.unref();
    }
    if ((was === undefined) !== (reason === undefined)) this.#events.onReachable(reason === undefined, reason);
  }
}

export interface DatabaseOptions {
  /** Under which transactions follow each other on all edges. */
  readonly lock: number;
  /** Whether a commit is on disk before it returns; false for what may be lost in a power cut. */
  readonly durable: boolean;
  /** How long a write waits for its turn. */
  readonly lockWaitMs: number;
  /** Keeps and tells what writes emit; undefined = they emit nothing. */
  readonly log?: ChangeLog;
}

/** Statements and transactions over a pool, which it does not own. */
export class PostgresDatabase implements Database {
  readonly #pool: PostgresPool;
  readonly #options: DatabaseOptions;
  readonly #begin: string;
  #lastWrite: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(pool: PostgresPool, options: DatabaseOptions) {
    this.#pool = pool;
    this.#options = options;
    this.#begin = [
      'BEGIN',
      `SET LOCAL statement_timeout = ${statementTimeoutMs}`,
      `SET LOCAL idle_in_transaction_session_timeout = ${statementTimeoutMs}`,
      `SET LOCAL lock_timeout = ${options.lockWaitMs}`,
      ...(options.durable ? [] : ['SET LOCAL synchronous_commit = off']),
      `SELECT pg_advisory_xact_lock(${options.lock})`,
    ].join('; ');
  }

  async row(sql: string, ...values: readonly SqlValue[]): Promise<Row | undefined> {
    return (await this.rows(sql, ...values))[0];
  }

  async rows(sql: string, ...values: readonly SqlValue[]): Promise<Row[]> {
    return (await this.#pool.query(numbered(sql), values)).rows;
  }

  async run(sql: string, ...values: readonly SqlValue[]): Promise<number> {
    return (await this.#pool.query(numbered(sql), values)).rowCount ?? 0;
  }

  /** Writes of this edge wait for each other here: on connections they would keep reads from theirs. */
  write<T>(body: (sql: Sql, emit: Emit) => Promise<T>): Promise<T> {
    if (this.#waiting >= maxWaiting)
      return Promise.reject(
        new PosternError('store.busy', `${maxWaiting} writes wait for ${this.#pool.place} already: try again later`),
      );
    this.#waiting += 1;
    const deadline = performance.now() + this.#options.lockWaitMs;
    const turn = this.#lastWrite.then(async () => {
      try {
        if (performance.now() >= deadline)
          throw new PosternError(
            'store.busy',
            `Earlier writes of ${this.#pool.place} took too long: nothing was changed`,
          );
        return await this.#transact(body);
      } finally {
        this.#waiting -= 1;
      }
    });
    this.#lastWrite = turn.catch(() => undefined);
    return turn;
  }

  /** Settles after the writes that were called for. */
  async settled(): Promise<void> {
    await this.#lastWrite;
  }

  async #transact<T>(body: (sql: Sql, emit: Emit) => Promise<T>): Promise<T> {
    const { log } = this.#options;
    const { place } = this.#pool;
    const pending: StoreChange[] = [];
    let committing = false;
    try {
      const { value, tell } = await this.#pool.with(async client => {
        try {
          await client.query(this.#begin);
          const sql = new ClientSql(client);
          const result = await body(sql, change => pending.push(change));
          const recorded = pending.length === 0 ? undefined : await log?.record(sql, pending);
          committing = true;
          await client.query('COMMIT');
          return { value: result, tell: recorded };
        } catch (error) {
          // A connection that is broken is closed, which takes the transaction back as well; so is one that fails here.
          if (!isAway(error)) await client.query('ROLLBACK');
          throw error;
        }
      });
      tell?.();
      return value;
    } catch (error) {
      if (error instanceof PosternError) throw error;
      void this.#pool.suspect(error);
      if (committing && isAway(error))
        throw new PosternError(
          'store.failed',
          `${place} went away during a commit: whether the change was made is not known`,
          {
            cause: error,
          },
        );
      throw translate(error, place);
    }
  }
}

/** Statements inside a transaction. What they reject with is translated where the transaction ends. */
class ClientSql implements Sql {
  readonly #client: PoolClient;

  constructor(client: PoolClient) {
    this.#client = client;
  }

  async row(sql: string, ...values: readonly SqlValue[]): Promise<Row | undefined> {
    return (await this.rows(sql, ...values))[0];
  }

  async rows(sql: string, ...values: readonly SqlValue[]): Promise<Row[]> {
    return (await this.#client.query<Row>(numbered(sql), [...values])).rows;
  }

  async run(sql: string, ...values: readonly SqlValue[]): Promise<number> {
    return (await this.#client.query(numbered(sql), [...values])).rowCount ?? 0;
  }
}

const numberedTexts = new Map<string, string>();
/** Statements of ours are some hundred texts; those put together from filters are few more. */
const maxTexts = 1_000;

/** `?` and `?1` as PostgreSQL has them: `$1`. No text of ours has a question mark of another meaning. */
function numbered(sql: string): string {
  let text = numberedTexts.get(sql);
  if (text === undefined) {
    let count = 0;
    text = sql.replace(/\?(\d*)/g, (_, number: string) => {
      count += 1;
      return `$${number === '' ? count : number}`;
    });
    if (numberedTexts.size < maxTexts) numberedTexts.set(sql, text);
  }
  return text;
}
