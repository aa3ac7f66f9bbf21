// What every variant of the edge's store must do with public ports, as one suite over a factory.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createTag, createTunnelId, type TunnelId } from '../../../internal/schema/api/id.ts';
import type { StoreChange } from '../../../internal/store/contract/changes.ts';
import type { PublicPortRecord } from '../../../internal/store/contract/records.ts';
import type { Store } from '../../../internal/store/contract/store.ts';
import { until } from '../../support/wait.ts';
import type { StorePlace } from './store-contract.ts';

interface Owner {
  readonly accountTag: string;
  readonly tunnelId: TunnelId;
}

export function describePublicPortContract(variant: string, createPlace: () => Promise<StorePlace>): void {
  describe(`public port contract: ${variant}`, () => {
    let place: StorePlace;
    let store: Store;
    let heard: StoreChange[];
    let mine: Owner;
    let other: Owner;
    const owner = async (name: string): Promise<Owner> => {
      const accountTag = createTag();
      const network = { id: randomUUID(), accountTag, name: 'default', comment: '', isDefault: true };
      await store.accounts.create(
        { tag: accountTag, name, createdAtMs: 1 },
        { id: createTag(), accountTag, domain: 'example.com' },
        { ...network, createdAtMs: 1, deletedAtMs: undefined },
      );
      const secret = { hash: new Uint8Array(48).fill(1), sealed: new Uint8Array(60).fill(2) };
      const tunnelId = createTunnelId();
      await store.tunnels.create({ id: tunnelId, accountTag, name, secret, createdAtMs: 1 });
      return { accountTag, tunnelId };
    };
    beforeEach(async () => {
      place = await createPlace();
      store = await place.open();
      heard = [];
      mine = await owner('a');
      other = await owner('b');
      store.changes.subscribe(change => heard.push(change));
    });
    afterEach(async () => {
      await store.close();
      await place.discard();
    });
    const record = (port: number, more: Partial<PublicPortRecord> = {}): PublicPortRecord => ({
      ...{ id: randomUUID(), ...mine, protocol: 'tcp', port, document: '{"to":"x"}', createdAtMs: 1 },
      ...more,
    });

    it('keeps ports over a restart, each protocol’s own, and tells of them', async () => {
      const [tcp, udp] = [record(5432), record(5432, { protocol: 'udp', ...other })];
      assert.equal(await store.publicPorts.create(tcp, 9), 'created');
      assert.equal(await store.publicPorts.create(udp, 9), 'created');
      await store.close();
      store = await place.open();
      assert.deepEqual(await store.publicPorts.list(), [tcp, udp]);
      assert.deepEqual(await store.publicPorts.list(mine.accountTag), [tcp]);
      await until('two changes', () => heard.length >= 2);
      assert.deepEqual(heard, [
        { kind: 'public-port-added', route: tcp },
        { kind: 'public-port-added', route: udp },
      ]);
    });

    it('gives a port out once, over all accounts, and as many as an account may have', async () => {
      await store.publicPorts.create(record(5432), 9);
      await assert.rejects(store.publicPorts.create(record(5432), 9), { code: 'store.conflict' });
      await assert.rejects(store.publicPorts.create(record(5432, other), 9), { code: 'store.conflict' });
      assert.equal(await store.publicPorts.create(record(5433), 1), 'full');
      assert.equal(await store.publicPorts.create(record(5433, other), 1), 'created');
    });

    it('refuses a tunnel of another account, and removes only the account’s own', async () => {
      await assert.rejects(store.publicPorts.create(record(1, { tunnelId: other.tunnelId }), 9), {
        code: 'store.failed',
      });
      const route = record(2);
      await store.publicPorts.create(route, 9);
      assert.equal(await store.publicPorts.remove(other.accountTag, route.id), undefined);
      assert.deepEqual(await store.publicPorts.remove(mine.accountTag, route.id), route);
      assert.equal(await store.publicPorts.remove(mine.accountTag, route.id), undefined);
      assert.deepEqual(await store.publicPorts.list(), []);
    });

    it('removes the ports of a tunnel with it', async () => {
      const [gone, stays] = [record(3), record(4, other)];
      for (const route of [gone, stays]) await store.publicPorts.create(route, 9);
      await store.tunnels.remove(mine.accountTag, mine.tunnelId, { atMs: 5, cascade: false });
      assert.deepEqual(await store.publicPorts.list(), [stays]);
      await until('the removal', () => heard.some(one => one.kind === 'public-port-removed' && one.route.port === 3));
    });
  });
}
