// What every variant of the edge's store must do with the presence of edges (internal/store/contract/store.ts), as one suite
// over a factory.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createTunnelId, type TunnelId } from '../../../internal/schema/api/id.ts';
import type { StoreChange } from '../../../internal/store/contract/changes.ts';
import type { Store } from '../../../internal/store/contract/store.ts';
import type { StorePlace } from './store-contract.ts';

export function describePresenceContract(variant: string, createPlace: () => Promise<StorePlace>): void {
  describe(`presence contract: ${variant}`, () => {
    let place: StorePlace;
    let store: Store;
    let second: Store;
    const heard: StoreChange[] = [];
    beforeEach(async () => {
      place = await createPlace();
      store = await place.open();
      second = await place.open();
      heard.length = 0;
      for (const one of [store, second]) one.changes.subscribe(change => heard.push(change));
    });
    afterEach(async () => {
      await store.close();
      await second.close();
      await place.discard();
    });

    it('keeps which edges run and who is connected to them, without telling that the store changed', async () => {
      const [home, work] = [createTunnelId(), createTunnelId()];
      const texts = new Map<TunnelId, string | undefined>([[home, '[1]']]);
      assert.equal(await store.presence.beat('a', texts, 1), false);
      assert.equal(await store.presence.beat('a', new Map(), 2), true);
      assert.equal(await second.presence.beat('b', new Map([...texts, [work, '[2]']]), 3), false);
      assert.deepEqual(await second.presence.edges(), [
        { id: 'a', beat: 2 },
        { id: 'b', beat: 1 },
      ]);
      assert.deepEqual(await second.presence.clientsOf(home), [
        { edgeId: 'a', tunnelId: home, clients: '[1]' },
        { edgeId: 'b', tunnelId: home, clients: '[1]' },
      ]);
      await second.presence.beat('b', new Map([[home, undefined]]), 4);
      await store.presence.forget('a', 5, 1);
      assert.equal((await store.presence.edges()).length, 2);
      await store.presence.forget('a', 6, 2);
      assert.deepEqual(await store.presence.tunnels(), [{ edgeId: 'b', tunnelId: work }]);
      await store.presence.forget('b', 7);
      assert.deepEqual(await second.presence.edges(), []);
      assert.deepEqual(await second.presence.tunnels(), []);
      assert.deepEqual(heard, []);
    });

    it('keeps since when a tunnel is connected to any of the edges, and when it went', async () => {
      const id = createTunnelId();
      const here = new Map([[id, '[1]']]);
      const activity = async () => (await second.presence.activity()).map(one => [one.activeAtMs, one.inactiveAtMs]);
      await store.presence.beat('a', here, 10);
      await second.presence.beat('b', here, 20);
      await store.presence.beat('a', new Map([[id, '[1,2]']]), 30);
      assert.deepEqual(await activity(), [[10, undefined]]);
      await store.presence.beat('a', new Map([[id, undefined]]), 40);
      assert.deepEqual(await activity(), [[10, undefined]]);
      await second.presence.forget('b', 50, 2);
      await second.presence.forget('b', 50);
      assert.deepEqual(await activity(), [[10, 50]]);
      await store.presence.beat('a', new Map([[id, undefined]]), 60);
      assert.deepEqual(await activity(), [[10, 50]]);
      await store.presence.beat('a', here, 70);
      assert.deepEqual(await activity(), [[70, undefined]]);
      await store.presence.forgetTunnels([id, createTunnelId()]);
      assert.deepEqual(await activity(), []);
    });
  });
}
