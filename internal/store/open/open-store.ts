// Opens the store of an edge: the one place that names its variants. The driver of PostgreSQL is loaded only where it is used.

import type { PosternError } from '../../errors/error.ts';
import type { Store } from '../contract/store.ts';
import { openSqliteStore } from '../sqlite/thread/sqlite-store.ts';
import type { StoreSource } from './store-source.ts';

export interface StoreEvents {
  /** The thread of SQLite died; the next call starts another. Must not throw. */
  readonly onDeath: (error: PosternError) => void;
  /** The database server went away, with the reason, or is back. Must not throw. */
  readonly onReachable: (reachable: boolean, reason?: PosternError) => void;
}

/** Opens it and brings its schema up to date. Throws 'store.failed', 'store.busy', 'store.away' and 'config.invalid'. */
export async function openStore(source: StoreSource, events: StoreEvents): Promise<Store> {
  if (source.kind === 'sqlite') return openSqliteStore({ path: source.path, onDeath: events.onDeath });
  const { openPostgresStore } = await import('../postgres/postgres-store.ts');
  const { parsePostgresUrl } = await import('../postgres/server.ts');
  const server = parsePostgresUrl(source.url, source.password);
  return openPostgresStore({ server, onReachable: events.onReachable });
}
