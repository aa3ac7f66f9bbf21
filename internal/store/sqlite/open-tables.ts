// The SQLite variant of the store, synchronous underneath: both files opened, brought up to date, and cut into the parts of
// the seam. It runs on the store's own thread; sqlite-store.ts is what the rest of the program sees.

import { existsSync, renameSync } from 'node:fs';
import { ChangeFeed } from '../contract/changes.ts';
import type { PresenceStore, StoreParts } from '../contract/store.ts';
import { createAccountStore } from './accounts.ts';
import { createAuditStore } from './audit.ts';
import { createBalancingStore } from './balancing.ts';
import { Database, isDamaged } from './database.ts';
import { createHostnameStore } from './hostnames.ts';
import { createIpRouteStore } from './ip-routes.ts';
import { migrations, presenceMigrations } from './migrations.ts';
import { createNetworkStore } from './networks.ts';
import { createPresenceStore } from './presence.ts';
import { createPrivateHostnameStore } from './private-hostnames.ts';
import { createPublicPortStore } from './public-ports.ts';
import { createQuickTunnelStore } from './quick-tunnels.ts';
import { createTokenUseStore, forgetTokenUses } from './tokens.ts';
import { createTunnelStore } from './tunnels.ts';
import { createDeviceStore, createGroupStore, createUserStore } from './users.ts';

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
  const presence = opened.adopt(openPresence(presencePath(path), lockWaitMs), closeDatabase);
  await forgetTokenUses(presence, database);
  const presenceStore = createPresenceStore(presence);
  await forgetActivity(database, presenceStore);
  const databases = opened.move();
  return {
    parts: {
      accounts: createAccountStore(database),
      tunnels: createTunnelStore(database),
      hostnames: createHostnameStore(database),
      quickTunnels: createQuickTunnelStore(database, ids => presenceStore.forgetTunnels(ids)),
      presence: presenceStore,
      networks: createNetworkStore(database),
      ipRoutes: createIpRouteStore(database),
      privateHostnames: createPrivateHostnameStore(database),
      publicPorts: createPublicPortStore(database),
      balancing: createBalancingStore(database),
      users: createUserStore(database),
      groups: createGroupStore(database),
      devices: createDeviceStore(database),
      audit: createAuditStore(database),
      tokenUses: createTokenUseStore(presence),
    },
    noticeForeignChanges: () => database.noticeForeignChanges(),
    close: () => databases.disposeAsync(),
  };
}

/** What is in it is told anew by whoever is connected: a damaged file is put aside. Its log goes with it. */
function openPresence(path: string, lockWaitMs: number): Database {
  const open = (): Database => {
    const database = new Database(path, new ChangeFeed(), {
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

function closeDatabase(database: Database): Promise<void> {
  return database.close();
}

function presencePath(path: string): string {
  return path === ':memory:' ? path : path.replace(/(\.db)?$/, '-presence.db');
}

/** The files are two, so what one forgot the other may still know. */
async function forgetActivity(database: Database, presence: PresenceStore): Promise<void> {
  const seen = await presence.activity();
  const gone = seen.filter(
    ({ tunnelId }) => database.row('SELECT 1 FROM tunnels WHERE id = ?', tunnelId) === undefined,
  );
  if (gone.length > 0) await presence.forgetTunnels(gone.map(({ tunnelId }) => tunnelId));
}

/** Routes first: those of a forgotten tunnel or network are all deleted ones, and go with it. */
async function forgetDeleted(database: Database, beforeMs: number): Promise<void> {
  await database.write(() => {
    for (const table of ['ip_routes', 'private_hostnames', 'networks', 'tunnels']) {
      database.run(`DELETE FROM ${table} WHERE deleted_ms < ?`, beforeMs);
    }
  });
}
