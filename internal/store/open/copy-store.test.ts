import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { it } from 'node:test';
import { noPostgres, startPostgres } from '../../../test/support/postgres.ts';
import { copyStore } from './copy-store.ts';
import { openStore } from './open-store.ts';
import { type StoreSource, sqliteSource } from './store-source.ts';

/** Who is connected, and what only one variant needs. */
const notCopied = ['edges', 'clients', 'sqlite_sequence', 'schema_version', 'feed', 'changes'];

it('leaves out no table that either variant has', async t => {
  await using opened = new AsyncDisposableStack();
  const postgres = await startPostgres();
  if (postgres === undefined) return t.skip(noPostgres);
  opened.defer(() => postgres.stop());
  const directory = mkdtempSync(join(tmpdir(), 'postern-copy-'));
  opened.defer(() => rmSync(directory, { recursive: true }));
  const from = sqliteSource(directory);
  const events = { onDeath: assert.fail, onReachable: () => assert.fail() };
  await (await openStore(from, events)).close();
  const database = await postgres.createDatabase();
  const to: StoreSource = { kind: 'postgres', url: postgres.urlOf(database), password: postgres.password };
  const copied = [...(await copyStore(from, to)).keys()].sort();
  const tablesOf = (file: string): string[] => {
    using raw = new DatabaseSync(join(directory, file));
    return raw
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
      .all()
      .map(row => String(row.name));
  };
  const inPostgres = await postgres.query(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
  for (const names of [
    [...tablesOf('edge.db'), ...tablesOf('edge-presence.db')],
    inPostgres.map(row => String(row.tablename)),
  ])
    assert.deepEqual(names.filter(name => !notCopied.includes(name)).sort(), copied);
});
