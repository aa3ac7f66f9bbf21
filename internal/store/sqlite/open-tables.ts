// The SQLite variant of the store, synchronous underneath: both files opened, brought up to date, and cut into the parts of
// the seam. It runs on the store's own thread; sqlite-store.ts is what the rest of the program sees.

import { existsSync, renameSync } from 'node:fs';
import { ChangeFeed } from '../contract/changes.ts';
import type { StoreParts } from '../contract/store.ts';
import { createStoreParts, forgetOld } from '../sql/store-parts.ts';
import { isDamaged, SqliteDatabase } from './database.ts';
import { migrations, presenceMigrations } from './migrations.ts';

export interface TableOptions {
  /** The database file; made (0600) when missing. `:memory:` for none. */
  readonly path: string;
  /** How long a write waits for its turn; see database.ts. */
  readonly lockWaitMs: number;
  /** What was deleted before this time is forgotten. */
  readonly forgetBeforeMs: number;
}

export interface Tables {
  readonly parts: StoreParts;
  /** Publishes a `reset` when another process has written since the last call. */
  noticeForeignChanges(): void;
  /** After the writes that were called for. */
  close(): Promise<void>;
}

/** Opens the files and brings their schemas up to date. Throws 'store.failed' or 'store.busy'. */
export async function openTables(options: TableOptions, changes: ChangeFeed): Promise<Tables> {
  const { path, lockWaitMs } = options;
  await using opened = new AsyncDisposableStack();
  const { database, presence } = opened.use(openSqliteDatabases(path, { changes, lockWaitMs }));
  const parts = createStoreParts(database, presence);
  await forgetOld(database, presence, options.forgetBeforeMs);
  const databases = opened.move();
  return {
    parts,
    noticeForeignChanges: () => database.noticeForeignChanges(),
    close: () => databases.disposeAsync(),
  };
}

/** Throws 'store.failed' or 'store.busy'. Disposal waits for the writes that were called for. */
export function openSqliteDatabases(
  path: string,
  { changes = new ChangeFeed(), lockWaitMs }: { changes?: ChangeFeed; lockWaitMs: number },
) {
  const database = new SqliteDatabase(path, changes, { migrations, durable: true, lockWaitMs });
  try {
    // A file of its own: edges write it every few seconds, and nobody must read all tables again because of that.
    const presence = openPresence(presencePath(path), lockWaitMs);
    return {
      database,
      presence,
      /** SQLite sees to its ids itself. */
      continueIds: async (): Promise<void> => undefined,
      async [Symbol.asyncDispose]() {
        await Promise.all([database.close(), presence.close()]);
      },
    };
  } catch (error) {
    void database.close();
    throw error;
  }
}

/** What is in it is told anew by whoever is connected: a damaged file is put aside. Its log goes with it. */
function openPresence(path: string, lockWaitMs: number): SqliteDatabase {
  const open = (): SqliteDatabase => {
    const database = new SqliteDatabase(path, new ChangeFeed(), {
      migrations: presenceMigrations,
      durable: false,
      lockWaitMs,
    });
    database.requireSound();
    return database;
  };
  try {
    return open();
  } catch (error) {
    if (path === ':memory:' || !isDamaged(error)) throw error;
    for (const suffix of ['', '-wal', '-shm'])
      if (existsSync(`${path}${suffix}`)) renameSync(`${path}${suffix}`, `${path}.damaged${suffix}`);
    return open();
  }
}

function presencePath(path: string): string {
  return path === ':memory:' ? path : path.replace(/(\.db)?$/, '-presence.db');
}
