import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { LateStore } from '../../../test/support/late-store.ts';
import { until } from '../../../test/support/wait.ts';
import { ensureLocalAccounts } from '../../control-plane/accounts.ts';
import { parseIp } from '../../net/address/ip.ts';
import { createTunnelId, type TunnelId } from '../../schema/api/id.ts';
import type { IpRouteRecord, NetworkRecord, PrivateHostnameRecord } from '../../store/contract/records.ts';
import type { Store } from '../../store/contract/store.ts';
import { openSqliteStore } from '../../store/sqlite/thread/sqlite-store.ts';
import { openRouteTable, type RouteTable } from './route-table.ts';

describe('route table', () => {
  let directory: string;
  let store: Store;
  let table: RouteTable;
  let accountTag: string;
  let tunnelId: TunnelId;
  let home: NetworkRecord;
  let office: NetworkRecord;
  const open = () => openRouteTable(store, error => assert.fail(String(error)));
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'postern-routes-'));
    store = await openSqliteStore({ path: join(directory, 'edge.db'), pollIntervalMs: 20 });
    const accounts = await ensureLocalAccounts(store, { stateDir: directory, domain: 'localhost', apiUrl: 'http://x' });
    accountTag = accounts.local.tag;
    tunnelId = createTunnelId();
    const secret = { hash: new Uint8Array(48), sealed: new Uint8Array(60) };
    await store.tunnels.create({ id: tunnelId, accountTag, name: 't', secret, createdAtMs: 0 });
    const [only] = await store.networks.list(accountTag);
    assert.ok(only !== undefined);
    home = only;
    office = { ...home, id: randomUUID(), name: 'office', isDefault: false };
    await store.networks.create(office);
    table = await open();
  });
  afterEach(async () => {
    table.close();
    await store.close();
    rmSync(directory, { recursive: true });
  });
  const ip = (prefix: string, network = home): IpRouteRecord => ({
    id: randomUUID(),
    accountTag,
    networkId: network.id,
    prefix,
    tunnelId,
    comment: '',
    createdAtMs: 0,
    deletedAtMs: undefined,
  });
  const hostname = (name: string): PrivateHostnameRecord => {
    const { prefix: _, ...rest } = ip('');
    return { ...rest, hostname: name };
  };
  const lookup = (address: string, network = home): string | undefined =>
    table.lookup(network.id, parseIp(address) ?? new Uint8Array(4))?.prefix;

  it('finds the longest prefix inside the network only', async () => {
    for (const route of [
      ip('10.0.0.0/8'),
      ip('10.1.0.0/16'),
      ip('10.1.2.3/32'),
      ip('fd00::/8'),
      ip('10.1.0.0/16', office),
    ])
      await store.ipRoutes.create(route);
    const check = (): void => {
      assert.equal(lookup('10.1.2.3'), '10.1.2.3/32');
      assert.equal(lookup('10.1.2.4'), '10.1.0.0/16');
      assert.equal(lookup('::ffff:10.9.9.9'), '10.0.0.0/8');
      assert.equal(lookup('fd12::1'), 'fd00::/8');
      assert.equal(lookup('11.0.0.1'), undefined);
      assert.equal(lookup('10.1.2.3', office), '10.1.0.0/16');
      assert.equal(lookup('10.9.9.9', office), undefined);
      assert.equal(table.lookup(randomUUID(), parseIp('10.1.2.3') ?? new Uint8Array(4)), undefined);
    };
    check();
    table.close();
    table = await open();
    check();
  });

  it('sees deletions at once, of routes, networks and tunnels', async () => {
    let changes = 0;
    table.onChange(() => {
      changes += 1;
    });
    const [wide, narrow, other] = [ip('10.0.0.0/8'), ip('10.1.0.0/16'), ip('10.0.0.0/8', office)];
    for (const route of [wide, narrow, other]) await store.ipRoutes.create(route);
    await store.ipRoutes.remove(accountTag, narrow.id, 1);
    assert.equal(lookup('10.1.2.3'), '10.0.0.0/8');
    await store.networks.remove(accountTag, office.id, { atMs: 1, force: true });
    assert.equal(lookup('10.1.2.3', office), undefined);
    assert.equal(table.network(office.id), undefined);
    await store.tunnels.remove(accountTag, tunnelId, { atMs: 1, cascade: true });
    assert.equal(lookup('10.1.2.3'), undefined);
    assert.equal(changes, 7);
  });

  it('matches names exactly, then by the longest wildcard', async () => {
    for (const name of ['db.internal', '*.internal', '*.eu.internal'])
      await store.privateHostnames.create(hostname(name));
    const find = (name: string, network = home): string | undefined => table.lookupHostname(network.id, name)?.hostname;
    assert.equal(find('DB.internal.'), 'db.internal');
    assert.equal(find('web.internal'), '*.internal');
    assert.equal(find('a.b.eu.internal'), '*.eu.internal');
    assert.equal(find('internal'), undefined);
    assert.equal(find('db.internal', office), undefined);
    assert.equal(find('10.0.0.1'), undefined);
    assert.equal(find(`${'a.'.repeat(200)}internal`), undefined);
  });

  it('knows networks by name, and the default one', async () => {
    assert.equal(table.networkOf(accountTag)?.id, home.id);
    assert.equal(table.networkOf(accountTag, 'office')?.id, office.id);
    assert.equal(table.networkOf(accountTag, 'none'), undefined);
    assert.equal(table.networkOf('f'.repeat(32)), undefined);
    await store.networks.update(accountTag, office.id, { isDefault: true, name: 'hq' });
    assert.equal(table.networkOf(accountTag)?.id, office.id);
    assert.equal(table.networkOf(accountTag, 'hq')?.id, office.id);
    assert.equal(table.network(home.id)?.isDefault, false);
  });

  it('keeps a change that arrives while it is read again', async () => {
    const late = new LateStore(store);
    table.close();
    table = await openRouteTable(late.store, error => assert.fail(String(error)));
    const [old, fresh] = [ip('10.0.0.0/8'), ip('11.0.0.0/8')];
    await late.store.ipRoutes.create(old);
    await until('the route', () => lookup('10.1.2.3') !== undefined);
    const lists = late.hold('networks', 'list');
    late.store.changes.publish({ kind: 'reset' });
    await lists.asked;
    await late.store.ipRoutes.create(fresh);
    await late.store.ipRoutes.remove(accountTag, old.id, 1);
    await until('the changes', () => lookup('11.1.2.3') !== undefined && lookup('10.1.2.3') === undefined);
    lists.release();
    await late.store.privateHostnames.create(hostname('last.internal'));
    await until('the last', () => table.lookupHostname(home.id, 'last.internal') !== undefined);
    assert.deepEqual([lookup('11.1.2.3'), lookup('10.1.2.3')], ['11.0.0.0/8', undefined]);
  });

  it('reads again when another process wrote', async () => {
    const other = await openSqliteStore({ path: join(directory, 'edge.db') });
    try {
      const changed = new Promise<void>(resolve => table.onChange(resolve));
      await other.ipRoutes.create(ip('10.0.0.0/8'));
      await changed;
      assert.equal(lookup('10.1.2.3'), '10.0.0.0/8');
    } finally {
      await other.close();
    }
  });
});
