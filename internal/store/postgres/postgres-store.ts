// The PostgreSQL variant of the store seam, for several edges on several machines. They hear of each other's changes by
// notification, and by a look at the clock where notifications do not arrive. While the server is away calls are refused at
// once; it is looked for every second.

import type { PosternError } from '../../errors/error.ts';
import { ChangeFeed } from '../contract/changes.ts';
import type { Store } from '../contract/store.ts';
import { createStoreParts, forgetOld, keepDeletedMs } from '../sql/store-parts.ts';
import { ChangeLog, channel } from './change-log.ts';
import { Listener } from './listener.ts';
import { openPostgresDatabases } from './open-databases.ts';
import type { PostgresServer } from './server.ts';

export interface PostgresStoreOptions {
  readonly server: PostgresServer;
  /** How often changes of other edges are looked for while notifications do not arrive. Default 2,000. */
  readonly pollIntervalMs?: number;
  /** How long a write waits for those of other edges; then it throws 'store.busy'. Default 10,000. */
  readonly lockWaitMs?: number;
  readonly now?: () => number;
  /** Hears that the server went away, with the reason, and that it is back. Must not throw. */
  readonly onReachable?: (reachable: boolean, reason?: PosternError) => void;
}

/** Looks as a net under notifications that do arrive: one may be lost. */
const netIntervalMs = 30_000;
const defaultPollIntervalMs = 2_000;

/** Opens the store and brings its schema up to date. Throws 'store.away', 'store.failed' or 'store.busy'. */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<Store> {
  const { server, pollIntervalMs = defaultPollIntervalMs, now = Date.now } = options;
  await using opened = new AsyncDisposableStack();
  const changes = new ChangeFeed();
  const log = new ChangeLog(changes);
  const databases = opened.use(
    await openPostgresDatabases(server, {
      lockWaitMs: options.lockWaitMs,
      log,
      onReachable: (reachable, reason) => {
        options.onReachable?.(reachable, reason);
        if (reachable) catchUp();
      },
    }),
  );
  const { database, presence, pool } = databases;
  // A failure shows at the next look, and at the next call.
  const catchUp = (): void => void log.catchUp(database).catch(() => undefined);
  await forgetOld(database, presence, now() - keepDeletedMs);
  await log.start(database);
  const listener = opened.adopt(
    new Listener({
      server,
      channel,
      onNotification: catchUp,
      onListening: again => (again ? void log.restart(database).catch(() => undefined) : catchUp()),
      notify: async payload => {
        await database.row('SELECT pg_notify(?, ?)', channel, payload);
      },
    }),
    closing => closing.close(),
  );
  let lastLookMs = performance.now();
  const poll = setInterval(() => {
    if (!pool.reachable || (listener.hears && performance.now() - lastLookMs < netIntervalMs)) return;
    lastLookMs = performance.now();
    listener.check();
    catchUp();
  }, pollIntervalMs);
  poll.unref();
  opened.defer(() => clearInterval(poll));
  const parts = createStoreParts(database, presence);
  const resources = opened.move();
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closed ??= resources.disposeAsync();
    return closed;
  };
  return { ...parts, changes, isReachable: () => pool.reachable, close, [Symbol.asyncDispose]: close };
}
