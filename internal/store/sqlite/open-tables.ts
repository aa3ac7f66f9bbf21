// The SQLite variant of the store, synchronous underneath: both files opened, brought up to date, and cut into the parts of
// the seam. It runs on the store's own thread; sqlite-store.ts is what the rest of the program sees.

import { ChangeFeed } from '../contract/changes.ts';
import type { StoreParts } from '../contract/store.ts';
import { createAccountStore } from './accounts.ts';
import { createBalancingStore } from './balancing.ts';
import { Database } from './database.ts';
import { createHostnameStore } from './hostnames.ts';
import { createIpRouteStore } from './ip-routes.ts';
import { migrations, presenceMigrations } from './migrations.ts';
import { createNetworkStore } from './networks.ts';
import { createPresenceStore } from './presence.ts';
import { createPrivateHostnameStore } from './private-hostnames.ts';
import { createQuickTunnelStore } from './quick-tunnels.ts';
import { createTunnelStore } from './tunnels.ts';

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
  const database = opened.adopt(new Database(path, changes, { migrations, durable: true, lockWaitMs }), closeDatabase);
  await forgetDeleted(database, options.forgetBeforeMs);
  // A file of its own: edges write it every few seconds, and nobody must read all tables again because of that.
  const presence = opened.adopt(
    new Database(presencePath(path), new ChangeFeed(), { migrations: presenceMigrations, durable: false, lockWaitMs }),
    closeDatabase,
  );
  const databases = opened.move();
  return {
    parts: {
      accounts: createAccountStore(database),
      tunnels: createTunnelStore(database),
      hostnames: createHostnameStore(database),
      quickTunnels: createQuickTunnelStore(database),
      presence: createPresenceStore(presence),
      networks: createNetworkStore(database),
      ipRoutes: createIpRouteStore(database),
      privateHostnames: createPrivateHostnameStore(database),
      balancing: createBalancingStore(database),
    },
    noticeForeignChanges: () => database.noticeForeignChanges(),
    close: () => databases.disposeAsync(),
  };
}

function closeDatabase(database: Database): Promise<void> {
  return database.close();
}

function presencePath(path: string): string {
  return path === ':memory:' ? path : path.replace(/(\.db)?$/, '-presence.db');
}

/** Routes first: those of a forgotten tunnel or network are all deleted ones, and go with it. */
async function forgetDeleted(database: Database, beforeMs: number): Promise<void> {
  await database.write(() => {
    for (const table of ['ip_routes', 'private_hostnames', 'networks', 'tunnels']) {
      database.run(`DELETE FROM ${table} WHERE deleted_ms < ?`, beforeMs);
    }
  });
}
