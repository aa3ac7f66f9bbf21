// What every variant of the edge's store must do when something that it keeps is changed in place
// (internal/store/contract/store.ts), as one suite over a factory.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createTag, createTunnelId, type TunnelId } from '../../../internal/schema/api/id.ts';
import type { Store } from '../../../internal/store/contract/store.ts';
import type { StorePlace } from './store-contract.ts';

export function describeChangeContract(variant: string, createPlace: () => Promise<StorePlace>): void {
  describe(`change contract: ${variant}`, () => {
    let place: StorePlace;
    let store: Store;
    const kinds: string[] = [];
    beforeEach(async () => {
      place = await createPlace();
      store = await place.open();
      store.changes.subscribe(change => kinds.push(change.kind));
    });
    afterEach(async () => {
      await store.close();
      await place.discard();
    });

    async function newAccount() {
      const [tag, networkId] = [createTag(), randomUUID()];
      const network = { id: networkId, accountTag: tag, name: 'default', comment: '', isDefault: true, createdAtMs: 1 };
      await store.accounts.create(
        { tag, name: tag, createdAtMs: 1 },
        { id: createTag(), accountTag: tag, domain: 'example.com' },
        { ...network, deletedAtMs: undefined },
      );
      const tunnel = async (name: string, remote?: boolean): Promise<TunnelId> => {
        const secret = { hash: new Uint8Array(48).fill(1), sealed: new Uint8Array(60).fill(2) };
        return (
          await store.tunnels.create({ id: createTunnelId(), accountTag: tag, name, secret, createdAtMs: 2, remote })
        ).id;
      };
      return { tag, networkId, tunnel };
    }

    it('renames a tunnel and gives it another secret, within its account', async () => {
      const [own, other] = [await newAccount(), await newAccount()];
      const id = await own.tunnel('web');
      await own.tunnel('taken');
      assert.equal((await store.tunnels.update(own.tag, id, { name: 'app' }))?.name, 'app');
      assert.equal((await store.tunnels.find(id))?.name, 'app');
      await assert.rejects(store.tunnels.update(own.tag, id, { name: 'taken' }), { code: 'store.conflict' });
      assert.equal(await store.tunnels.update(other.tag, id, { name: 'stolen' }), undefined);
      const secret = { hash: new Uint8Array(48).fill(3), sealed: new Uint8Array(60).fill(4) };
      await store.tunnels.update(own.tag, id, { secret });
      assert.deepEqual([...((await store.tunnels.secret(id))?.secret.hash ?? [])], [...secret.hash]);
      await store.tunnels.remove(own.tag, id, { atMs: 3, cascade: false });
      assert.equal(await store.tunnels.update(own.tag, id, { name: 'again' }), undefined);
    });

    it('knows which tunnels are configured from the edge', async () => {
      const own = await newAccount();
      const [local, remote] = [await own.tunnel('local'), await own.tunnel('remote', true)];
      const isRemote = async (id: TunnelId) => (await store.tunnels.find(id))?.remote;
      assert.deepEqual([await isRemote(local), await isRemote(remote)], [false, true]);
      await store.tunnels.setConfiguration(own.tag, local, '{}', 3);
      assert.equal(await isRemote(local), true);
    });

    it('changes a host name and keeps its id, and never takes a name that leads somewhere', async () => {
      const [own, other] = [await newAccount(), await newAccount()];
      const [one, two, foreign] = [await own.tunnel('one'), await own.tunnel('two'), await other.tunnel('one')];
      const route = (hostname: string, tunnelId: TunnelId, accountTag: string) =>
        store.hostnames.route({ hostname, tunnelId, accountTag, createdAtMs: 3, comment: 'c' }, { overwrite: false });
      await route('a.example.com', one, own.tag);
      await route('b.example.com', foreign, other.tag);
      const before = (await store.hostnames.get('a.example.com')) ?? assert.fail();
      assert.match(before.id, /^[0-9a-f]{32}$/);
      assert.deepEqual([before.comment, before.modifiedAtMs], ['c', 3]);
      kinds.length = 0;
      const { id } = before;
      const moved = await store.hostnames.update(own.tag, id, { hostname: 'c.example.com', tunnelId: two, atMs: 5 });
      assert.deepEqual(moved, { ...before, hostname: 'c.example.com', tunnelId: two, modifiedAtMs: 5 });
      assert.deepEqual(await store.hostnames.list(own.tag), [moved]);
      assert.equal(await store.hostnames.get('a.example.com'), undefined);
      assert.deepEqual(kinds, ['hostname-removed', 'hostname-routed']);
      const taken = store.hostnames.update(own.tag, id, { hostname: 'b.example.com', atMs: 6 });
      await assert.rejects(taken, { code: 'store.conflict' });
      await assert.rejects(store.hostnames.update(own.tag, id, { tunnelId: foreign, atMs: 6 }), {
        code: 'store.failed',
      });
      assert.equal(await store.hostnames.update(other.tag, id, { comment: 'x', atMs: 6 }), undefined);
      assert.deepEqual(await store.hostnames.list(own.tag), [moved]);
    });

    it('changes what a private route is for, and where it belongs', async () => {
      const [own, other] = [await newAccount(), await newAccount()];
      const tunnelId = await own.tunnel('one');
      const at = { accountTag: own.tag, networkId: own.networkId, tunnelId, comment: '', createdAtMs: 2 };
      const name = { ...at, id: randomUUID(), hostname: 'db.internal', deletedAtMs: undefined };
      const ip = { ...at, id: randomUUID(), prefix: '10.0.0.0/8', deletedAtMs: undefined };
      await store.privateHostnames.create(name);
      await store.ipRoutes.create(ip);
      await store.ipRoutes.create({ ...ip, id: randomUUID(), prefix: '10.1.0.0/16' });
      kinds.length = 0;
      const { update } = store.privateHostnames;
      assert.equal(
        (await update(own.tag, name.id, { hostname: 'db2.internal', comment: 'c' }))?.hostname,
        'db2.internal',
      );
      assert.equal((await store.ipRoutes.update(own.tag, ip.id, { prefix: '10.2.0.0/16' }))?.prefix, '10.2.0.0/16');
      assert.deepEqual(kinds, [
        ...['private-hostname-deleted', 'private-hostname-added'],
        ...['ip-route-deleted', 'ip-route-added'],
      ]);
      const taken = store.ipRoutes.update(own.tag, ip.id, { prefix: '10.1.0.0/16' });
      await assert.rejects(taken, { code: 'store.conflict' });
      const foreign = store.ipRoutes.update(own.tag, ip.id, { networkId: other.networkId });
      await assert.rejects(foreign, { code: 'store.failed' });
      assert.equal(await update(other.tag, name.id, { comment: 'x' }), undefined);
    });
  });
}
