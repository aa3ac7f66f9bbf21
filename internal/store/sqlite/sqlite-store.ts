// The SQLite variant of the store seam. Several edges may share one file (a rolling restart does): each hears of the
// others' writes within `pollIntervalMs`.

import { ChangeFeed } from '../contract/changes.ts';
import type { Store } from '../contract/store.ts';
import { createAccountStore } from './accounts.ts';
import { Database } from './database.ts';
import { createHostnameStore } from './hostnames.ts';
import { createIpRouteStore } from './ip-routes.ts';
import { migrations, presenceMigrations } from './migrations.ts';
import { createNetworkStore } from './networks.ts';
import { createPresenceStore } from './presence.ts';
import { createPrivateHostnameStore } from './private-hostnames.ts';
import { createQuickTunnelStore } from './quick-tunnels.ts';
import { createTunnelStore } from './tunnels.ts';

export interface SqliteStoreOptions {
  /** The database file; made (0600) when missing. `:memory:` for none. */
  readonly path: string;
  /** How often writes of other processes are looked for; a look costs some microseconds. Default 1,000. */
  readonly pollIntervalMs?: number;
  readonly now?: () => number;
}

/** How long deleted tunnels, routes and networks can still be listed; then they are forgotten at the next start. */
export const keepDeletedMs = 30 * 86_400_000;

/** Opens the store and brings its schema up to date. Throws `store.failed`. */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const changes = new ChangeFeed();
  using opened = new DisposableStack();
  const database = opened.adopt(new Database(options.path, changes, { migrations, durable: true }), it => it.close());
  forgetDeleted(database, (options.now ?? Date.now)() - keepDeletedMs);
  // A file of its own: edges write it every few seconds, and nobody must read all tables again because of that.
  const presence = opened.adopt(
    new Database(presencePath(options.path), new ChangeFeed(), { migrations: presenceMigrations, durable: false }),
    it => it.close(),
  );
  const databases = opened.move();
  const poll = setInterval(() => database.noticeForeignChanges(), options.pollIntervalMs ?? 1_000);
  poll.unref();
  const close = async (): Promise<void> => {
    clearInterval(poll);
    databases.dispose();
  };
  return {
    changes,
    accounts: createAccountStore(database),
    tunnels: createTunnelStore(database),
    hostnames: createHostnameStore(database),
    quickTunnels: createQuickTunnelStore(database),
    presence: createPresenceStore(presence),
    networks: createNetworkStore(database),
    ipRoutes: createIpRouteStore(database),
    privateHostnames: createPrivateHostnameStore(database),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function presencePath(path: string): string {
  return path === ':memory:' ? path : path.replace(/(\.db)?$/, '-presence.db');
}

/** Routes first: those of a forgotten tunnel or network are all deleted ones, and go with it. */
function forgetDeleted(database: Database, beforeMs: number): void {
  database.write(() => {
    for (const table of ['ip_routes', 'private_hostnames', 'networks', 'tunnels']) {
      database.run(`DELETE FROM ${table} WHERE deleted_ms < ?`, beforeMs);
    }
  });
}
