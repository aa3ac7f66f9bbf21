// What every variant of the edge's store must do with monitors, pools and load balancers, as one suite over a factory.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createTag, createTunnelId } from '../../../internal/schema/api/id.ts';
import type { StoreChange } from '../../../internal/store/contract/changes.ts';
import type { BalancingRecord } from '../../../internal/store/contract/records.ts';
import type { Store } from '../../../internal/store/contract/store.ts';
import { until } from '../../support/wait.ts';
import type { StorePlace } from './store-contract.ts';

export function describeBalancingContract(variant: string, createPlace: () => Promise<StorePlace>): void {
  describe(`balancing contract: ${variant}`, () => {
    let place: StorePlace;
    let store: Store;
    let heard: StoreChange[];
    let mine: { readonly accountTag: string; readonly zoneId: string };
    let other: typeof mine;
    const account = async (name: string): Promise<typeof mine> => {
      const [accountTag, zoneId] = [createTag(), createTag()];
      const network = { id: randomUUID(), accountTag, name: 'default', comment: '', isDefault: true };
      await store.accounts.create(
        { tag: accountTag, name, createdAtMs: 1 },
        { id: zoneId, accountTag, domain: 'example.com' },
        { ...network, createdAtMs: 1, deletedAtMs: undefined },
      );
      return { accountTag, zoneId };
    };
    beforeEach(async () => {
      place = await createPlace();
      store = await place.open();
      heard = [];
      mine = await account('a');
      other = await account('b');
      store.changes.subscribe(change => heard.push(change));
    });
    afterEach(async () => {
      await store.close();
      await place.discard();
    });
    const record = (more: Partial<BalancingRecord> = {}): BalancingRecord => ({
      ...{ id: createTag(), kind: 'pool', accountTag: mine.accountTag, zoneId: undefined, name: 'web', document: '{}' },
      ...{ uses: [], version: 1, createdAtMs: 1, modifiedAtMs: 1 },
      ...more,
    });
    const balancer = (name: string, uses: readonly string[], of = mine): BalancingRecord =>
      record({ kind: 'balancer', name, uses, ...of });
    const changes = { name: 'web', document: '{"a":1}', uses: [], modifiedAtMs: 9 };

    it('keeps records of each kind, within their account, over a restart', async () => {
      const monitor = record({ kind: 'monitor', name: 'm' });
      const pool = record({ uses: [monitor.id] });
      await store.balancing.create(monitor);
      await store.balancing.create(pool);
      await store.balancing.create(balancer('h.example.com', [pool.id]));
      await store.balancing.create(record({ accountTag: other.accountTag }));
      await assert.rejects(store.balancing.create(record()), { code: 'store.conflict' });
      await store.close();
      store = await place.open();
      const kinds = (await store.balancing.list(mine.accountTag)).map(one => [one.kind, one.uses.length]);
      assert.deepEqual(kinds.toSorted(), [
        ['balancer', 1],
        ['monitor', 0],
        ['pool', 1],
      ]);
      assert.deepEqual(
        (await store.balancing.list()).find(one => one.id === pool.id),
        pool,
      );
      assert.equal((await store.balancing.list()).length, 4);
    });

    it('changes only the version that was read, and only the account’s own', async () => {
      const pool = record();
      await store.balancing.create(pool);
      const change = (version: number, tag = mine.accountTag, kind: BalancingRecord['kind'] = 'pool') =>
        store.balancing.change(tag, kind, pool.id, version, changes);
      assert.equal(await change(1, other.accountTag), 'missing');
      assert.equal(await change(1, mine.accountTag, 'monitor'), 'missing');
      const expected = { ...pool, ...changes, version: 2 };
      assert.deepEqual(await change(1), expected);
      assert.equal(await change(1), 'stale');
      assert.deepEqual(await store.balancing.list(mine.accountTag), [expected]);
      await until('both changes', () => heard.length === 2);
      assert.deepEqual(heard[1], { kind: 'balancing-changed', record: expected });
    });

    it('removes nothing that is used, and lets no account use another’s', async () => {
      const monitor = record({ kind: 'monitor', name: 'm' });
      const pool = record({ uses: [monitor.id] });
      await store.balancing.create(monitor);
      await store.balancing.create(pool);
      const remove = (kind: BalancingRecord['kind'], id: string, tag = mine.accountTag) =>
        store.balancing.remove(tag, kind, id);
      assert.equal(await remove('monitor', monitor.id), 'busy');
      assert.equal(await remove('pool', pool.id, other.accountTag), 'missing');
      const stolen = record({ accountTag: other.accountTag, uses: [monitor.id] });
      await assert.rejects(store.balancing.create(stolen), { code: 'store.failed' });
      assert.deepEqual(await store.balancing.list(other.accountTag), []);
      await store.balancing.change(mine.accountTag, 'pool', pool.id, 1, changes);
      assert.equal(await remove('monitor', monitor.id), 'removed');
      assert.equal(await remove('monitor', monitor.id), 'missing');
      await until('the removal', () => heard.at(-1)?.kind === 'balancing-removed');
      const before = heard.length;
      await assert.rejects(
        store.balancing.change(mine.accountTag, 'pool', pool.id, 2, { ...changes, uses: [createTag()] }),
        { code: 'store.failed' },
      );
      assert.deepEqual(await store.balancing.list(mine.accountTag), [{ ...pool, ...changes, version: 2 }]);
      assert.equal(heard.length, before);
    });

    it('gives a host name to one account, whether balanced or routed', async () => {
      const at = (of: typeof mine, name: string) => ({ hostname: name, ...of, createdAtMs: 1 });
      const tunnels = await Promise.all(
        [mine, other].map(async ({ accountTag }) => {
          const secret = { hash: new Uint8Array(48), sealed: new Uint8Array(60) };
          return store.tunnels.create({ id: createTunnelId(), accountTag, name: 't', secret, createdAtMs: 1 });
        }),
      );
      const [own, foreign] = tunnels;
      if (own === undefined || foreign === undefined) assert.fail();
      const { zoneId: _zone, ...route } = { ...at(mine, 'h.example.com'), tunnelId: own.id };
      await store.hostnames.route(route, { overwrite: false });
      await assert.rejects(store.balancing.create(balancer('h.example.com', [], other)), { code: 'store.conflict' });
      const balanced = balancer('h.example.com', []);
      await store.balancing.create(balanced);
      await store.balancing.create(balancer('i.example.com', []));
      await assert.rejects(store.balancing.create(balancer('i.example.com', [], other)), { code: 'store.conflict' });
      const theirs = { hostname: 'i.example.com', accountTag: other.accountTag, tunnelId: foreign.id, createdAtMs: 1 };
      assert.equal(await store.hostnames.route(theirs, { overwrite: true }), 'foreign');
      const renamed = { ...changes, name: 'i.example.com' };
      await assert.rejects(store.balancing.change(mine.accountTag, 'balancer', balanced.id, 1, renamed), {
        code: 'store.conflict',
      });
    });
  });
}
