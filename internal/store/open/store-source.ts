// Where an edge's store is, as its operator names it: a state directory with SQLite's files, or the URL of a PostgreSQL
// database. Nothing is opened here.

import { join } from 'node:path';

export type StoreSource =
  /** `path`: the database file. */
  | { readonly kind: 'sqlite'; readonly path: string }
  /** `password`: undefined = that of the URL, else what the driver finds (PGPASSWORD, PGPASSFILE). */
  | { readonly kind: 'postgres'; readonly url: string; readonly password: string | undefined };

/** The SQLite file of a state directory. */
export function sqliteSource(stateDir: string): StoreSource {
  return { kind: 'sqlite', path: join(stateDir, 'edge.db') };
}

/** Whether `text` names a PostgreSQL database rather than a directory. */
export function isPostgresUrl(text: string): boolean {
  return /^postgres(ql)?:/i.test(text);
}

/** Whether the URL brings a password. */
export function hasPassword(text: string): boolean {
  const url = URL.parse(text);
  // One that cannot be parsed may hold one all the same.
  return url === null ? text.includes('@') : url.password !== '' || url.searchParams.has('password');
}
