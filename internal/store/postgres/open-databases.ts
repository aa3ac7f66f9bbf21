// Opens the databases of a store in PostgreSQL, brought up to date: that of the configuration and that of what may be lost.
// Both are tables of one database; only the locks under which they are written differ.

import type { Sql } from '../sql/database.ts';
import type { ChangeLog } from './change-log.ts';
import { type PoolEvents, PostgresDatabase, PostgresPool } from './database.ts';
import { translate } from './errors.ts';
import { migrate } from './migrations.ts';
import type { PostgresServer } from './server.ts';

export interface OpenOptions {
  /** How long a write waits for those of other edges; then it throws 'store.busy'. Default 10,000. */
  readonly lockWaitMs?: number | undefined;
  readonly log?: ChangeLog;
  readonly onReachable?: PoolEvents['onReachable'];
}

export interface PostgresDatabases extends AsyncDisposable {
  readonly pool: PostgresPool;
  readonly database: PostgresDatabase;
  readonly presence: PostgresDatabase;
  readonly continueIds: (sql: Sql) => Promise<void>;
}

const defaultLockWaitMs = 10_000;
/** Any two numbers that no other program takes in the same database; the schema's own is in migrations.ts. */
const configurationLock = 0x706f_7302;
const presenceLock = 0x706f_7303;

/** Throws 'store.away', 'store.failed' or 'store.busy'. Disposal waits for the writes that were called for. */
export async function openPostgresDatabases(
  server: PostgresServer,
  { lockWaitMs = defaultLockWaitMs, log, onReachable = () => undefined }: OpenOptions = {},
): Promise<PostgresDatabases> {
  const pool = new PostgresPool(server, { onReachable });
  try {
    await pool.with(migrate);
  } catch (error) {
    await pool.close();
    throw translate(error, server.place);
  }
  const database = new PostgresDatabase(pool, {
    lock: configurationLock,
    durable: true,
    lockWaitMs,
    ...(log === undefined ? {} : { log }),
  });
  const presence = new PostgresDatabase(pool, { lock: presenceLock, durable: false, lockWaitMs });
  return {
    pool,
    database,
    presence,
    continueIds: async sql => {
      await sql.row("SELECT setval(pg_get_serial_sequence('audit', 'id'), max(id)) FROM audit HAVING max(id) > 0");
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([database.settled(), presence.settled()]);
      await pool.close();
    },
  };
}
