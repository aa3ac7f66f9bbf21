import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { LateStore } from '../../../test/support/late-store.ts';
import { temporaryDirectory } from '../../../test/support/program.ts';
import { until } from '../../../test/support/wait.ts';
import { createTag, createTunnelId, type TunnelId } from '../../schema/api/id.ts';
import { openSqliteStore } from '../../store/sqlite/thread/sqlite-store.ts';
import { openHostnameTable } from './hostname-table.ts';

async function openWorld(t: TestContext) {
  const late = new LateStore(await openSqliteStore({ path: join(await temporaryDirectory(t), 'edge.db') }));
  const { store } = late;
  t.after(() => store.close());
  const accountTag = createTag();
  await store.accounts.create(
    { tag: accountTag, name: 'a', createdAtMs: 1 },
    { id: createTag(), accountTag, domain: 'example.com' },
    {
      ...{ id: crypto.randomUUID(), accountTag, name: 'default', comment: '', isDefault: true },
      ...{ createdAtMs: 1, deletedAtMs: undefined },
    },
  );
  const tunnelId = createTunnelId();
  const secret = { hash: new Uint8Array(48), sealed: new Uint8Array(60) };
  await store.tunnels.create({ id: tunnelId, accountTag, name: 't', secret, createdAtMs: 1 });
  const route = (hostname: string): Promise<unknown> =>
    store.hostnames.route({ hostname, tunnelId, accountTag, createdAtMs: 1 }, { overwrite: true });
  const remove = async (hostname: string): Promise<boolean> =>
    store.hostnames.remove(accountTag, (await store.hostnames.get(hostname))?.id ?? '');
  const table = await openHostnameTable(store, error => assert.fail(String(error)));
  t.after(() => table.close());
  return { late, store, table, tunnelId, route, remove };
}

describe('host names', () => {
  it('keep a change that arrives while the table is read again', async t => {
    const { late, store, table, tunnelId, route, remove } = await openWorld(t);
    await route('old.example.com');
    await until('the route', () => table.routeOf('old.example.com')?.tunnelId === tunnelId);
    const lists = late.hold('hostnames', 'list');
    store.changes.publish({ kind: 'reset' });
    await lists.asked;
    await route('new.example.com');
    await remove('old.example.com');
    await until('the change', () => table.routeOf('new.example.com')?.tunnelId === tunnelId);
    lists.release();
    // Read and told to the end: a route made now is the last to arrive.
    await route('last.example.com');
    await until('the last', () => table.routeOf('last.example.com')?.tunnelId === tunnelId);
    assert.equal(table.routeOf('new.example.com')?.tunnelId, tunnelId);
    assert.equal(table.routeOf('old.example.com')?.tunnelId, undefined);
  });

  it('find an exact name before a wildcard, and a longer wildcard before a shorter one', async t => {
    const { table, tunnelId, route } = await openWorld(t);
    for (const name of ['*.example.com', '*.a.example.com', 'x.a.example.com']) await route(name);
    await until('the last', () => table.routed('x.a.example.com') === 'name');
    const found = (host: string): [TunnelId | undefined, string | undefined] => [
      table.routeOf(host)?.tunnelId,
      table.routed(host),
    ];
    assert.deepEqual(found('X.A.example.com.'), [tunnelId, 'name']);
    assert.deepEqual(found('y.a.example.com'), [tunnelId, 'wildcard']);
    assert.deepEqual(found('b.example.com'), [tunnelId, 'wildcard']);
    assert.deepEqual(found('example.com'), [undefined, undefined]);
  });
});
