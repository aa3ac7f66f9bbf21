// The feed of changes over PostgreSQL. A transaction that tells something keeps it as a row with the next version, and
// notifies by that number alone. Every edge tells its listeners the rows in the order of their versions, its own among them;
// of rows that are there no more it tells a `reset`. Notifications may be lost: catchUp is called by a clock as well.

import type { ChangeFeed, StoreChange } from '../contract/changes.ts';
import { integer, text } from '../sql/columns.ts';
import type { Row, Sql } from '../sql/database.ts';

/** The one channel: before PostgreSQL 19 a notification wakes every listener of the database, whatever its channel. */
export const channel = 'postern';
/** Transactions whose changes are kept: an edge that has missed more reads its tables again. */
const kept = 1_000;

interface Entry {
  readonly version: number;
  readonly changes: readonly StoreChange[];
}

export class ChangeLog {
  readonly #feed: ChangeFeed;
  /** Told up to this version. */
  #told = 0;
  #reading: Promise<void> | undefined;
  #again = false;

  constructor(feed: ChangeFeed) {
    this.#feed = feed;
  }

  /** From now on; before anybody reads tables. */
  async start(sql: Sql): Promise<void> {
    this.#told = await readVersion(sql);
  }

  /** Keeps the changes of a transaction, inside it. Call what it resolves to when that is committed: it tells them. */
  async record(sql: Sql, changes: readonly StoreChange[]): Promise<() => void> {
    const row = await sql.row('UPDATE feed SET version = version + 1 RETURNING version');
    const version = integer(row ?? {}, 'version');
    await sql.run('INSERT INTO changes VALUES (?, ?)', version, JSON.stringify(changes));
    await sql.run('DELETE FROM changes WHERE version <= ?', version - kept);
    // What other edges did before goes first. Nobody adds to it while this transaction holds its lock.
    const before = version === this.#told + 1 ? [] : await readEntries(sql, this.#told, version - 1);
    await sql.row('SELECT pg_notify(?, CAST(? AS TEXT))', channel, version);
    return () => this.#tell([...before, { version, changes }]);
  }

  /** Tells what is not told yet. Rejects as the store does; one look at a time, and one more for those who come meanwhile. */
  catchUp(sql: Sql): Promise<void> {
    this.#again = true;
    this.#reading ??= this.#read(sql).finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** Anything may be different, for example after another server took the place of the one before. */
  async restart(sql: Sql): Promise<void> {
    this.#told = await readVersion(sql);
    this.#feed.publish({ kind: 'reset' });
  }

  async #read(sql: Sql): Promise<void> {
    while (this.#again) {
      this.#again = false;
      // Before the look: a write of this edge may be told while it lasts.
      const told = this.#told;
      const version = await readVersion(sql);
      // A restored backup, or a standby that had not got the last commits.
      if (version < told) await this.restart(sql);
      else if (version > this.#told) this.#tell(await readEntries(sql, this.#told, version));
    }
  }

  #tell(entries: readonly Entry[]): void {
    for (const { version, changes } of entries) {
      if (version <= this.#told) continue;
      const isNext = version === this.#told + 1;
      this.#told = version;
      if (!isNext) this.#feed.publish({ kind: 'reset' });
      else for (const change of changes) this.#feed.publish(change);
    }
  }
}

async function readVersion(sql: Sql): Promise<number> {
  return integer((await sql.row('SELECT version FROM feed')) ?? {}, 'version');
}

async function readEntries(sql: Sql, after: number, upTo: number): Promise<Entry[]> {
  const rows = await sql.rows(
    'SELECT version, changes FROM changes WHERE version > ? AND version <= ? ORDER BY version',
    after,
    upTo,
  );
  return rows.map(toEntry);
}

function toEntry(row: Row): Entry {
  return { version: integer(row, 'version'), changes: JSON.parse(text(row, 'changes')) as StoreChange[] };
}
