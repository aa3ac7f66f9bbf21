// What every variant of the edge's store must do (internal/store/contract/store.ts), as one suite over a factory. A variant's
// test file calls it.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createTag, createTunnelId, type TunnelId } from '../../../internal/schema/api/id.ts';
import type { StoreChange } from '../../../internal/store/contract/changes.ts';
import type {
  IpRouteRecord,
  NetworkRecord,
  NewTunnel,
  PrivateHostnameRecord,
} from '../../../internal/store/contract/records.ts';
import type { Store } from '../../../internal/store/contract/store.ts';
import { until } from '../../support/wait.ts';

/** Where one test's store lives: opened twice, it is the same store. Its clock shows the first second of 1970. */
export interface StorePlace {
  open(): Promise<Store>;
  /** Removes it; every store opened has been closed. */
  discard(): Promise<void>;
}

export function describeStoreContract(variant: string, createPlace: () => Promise<StorePlace>): void {
  describe(`store contract: ${variant}`, () => {
    let place: StorePlace;
    let store: Store;
    let heard: StoreChange[];
    beforeEach(async () => {
      place = await createPlace();
      store = await place.open();
      heard = [];
      store.changes.subscribe(change => heard.push(change));
    });
    afterEach(async () => {
      await store.close();
      await place.discard();
    });
    const reopen = async (): Promise<void> => {
      await store.close();
      store = await place.open();
      store.changes.subscribe(change => heard.push(change));
    };
    /** What was told since the last look. Told late, a write of its own ends the wait: changes come in order. */
    const told = async (): Promise<StoreChange[]> => {
      const { networkId } = await newAccount(randomUUID());
      const marked = (): number =>
        heard.findIndex(change => change.kind === 'network-changed' && change.network.id === networkId);
      await until('the changes so far', () => marked() >= 0);
      return heard.splice(0, marked() + 1).slice(0, -1);
    };
    const kinds = async (): Promise<string[]> => (await told()).map(change => change.kind);

    const newAccount = async (name: string): Promise<{ tag: string; networkId: string; zoneId: string }> => {
      const tag = createTag();
      const networkId = randomUUID();
      const zoneId = createTag();
      await store.accounts.create(
        { tag, name, createdAtMs: 1 },
        { id: zoneId, accountTag: tag, domain: 'example.com' },
        newNetwork(tag, 'default', { id: networkId, isDefault: true }),
      );
      return { tag, networkId, zoneId };
    };

    it('keeps accounts, zones and tokens', async () => {
      const { tag, zoneId } = await newAccount('local');
      await assert.rejects(newAccount('local'), { code: 'store.conflict' });
      const digest = new Uint8Array(32).fill(3);
      await store.accounts.addToken({ digest, accountTag: tag, label: 'admin', createdAtMs: 5 });
      await store.accounts.setZoneDomain(zoneId, 'example.org');
      await reopen();
      assert.deepEqual(await store.accounts.byName('local'), { tag, name: 'local', createdAtMs: 1 });
      assert.equal(await store.accounts.byName('other'), undefined);
      assert.equal((await store.accounts.get(tag))?.name, 'local');
      assert.equal(await store.accounts.get(createTag()), undefined);
      assert.deepEqual(await store.accounts.zone(zoneId), { id: zoneId, accountTag: tag, domain: 'example.org' });
      assert.equal((await store.accounts.zonesOf(tag)).length, 1);
      const token = await store.accounts.tokenByDigest(digest);
      assert.ok(token !== undefined);
      assert.deepEqual(
        { ...token, digest: [...token.digest] },
        {
          ...{ id: token.id, digest: [...digest], accountTag: tag, label: 'admin', createdAtMs: 5 },
          ...{ userId: undefined, deviceId: undefined, parentId: undefined },
          ...{ scopes: ['all'], expiresAtMs: undefined },
        },
      );
      assert.equal(await store.accounts.tokenByDigest(new Uint8Array(32)), undefined);
    });

    it('an account that fails to be made leaves nothing behind', async () => {
      const { networkId } = await newAccount('a');
      const tag = createTag();
      await assert.rejects(
        store.accounts.create(
          { tag, name: 'b', createdAtMs: 1 },
          { id: createTag(), accountTag: tag, domain: 'b' },
          newNetwork(tag, 'default', { id: networkId, isDefault: true }),
        ),
        { code: 'store.conflict' },
      );
      assert.equal(await store.accounts.byName('b'), undefined);
      assert.deepEqual(await store.accounts.zonesOf(tag), []);
    });

    it('keeps tunnels with their secrets, within their account', async () => {
      const { tag } = await newAccount('a');
      const other = await newAccount('b');
      const tunnel = newTunnel(tag, 'web');
      const made = await store.tunnels.create(tunnel);
      assert.deepEqual(await kinds(), ['network-changed', 'network-changed', 'tunnel-created']);
      await reopen();
      assert.deepEqual(await store.tunnels.find(tunnel.id), made);
      assert.deepEqual(await store.tunnels.get(tag, tunnel.id), made);
      assert.equal(await store.tunnels.get(other.tag, tunnel.id), undefined);
      assert.equal(await store.tunnels.find(createTunnelId()), undefined);
      const secret = await store.tunnels.secret(tunnel.id);
      assert.equal(secret?.accountTag, tag);
      assert.deepEqual([...(secret?.secret.hash ?? [])], [...tunnel.secret.hash]);
      assert.deepEqual([...(secret?.secret.sealed ?? [])], [...tunnel.secret.sealed]);
      await assert.rejects(store.tunnels.create(newTunnel(tag, 'web')), { code: 'store.conflict' });
      await store.tunnels.create(newTunnel(other.tag, 'web'));
    });

    it('removes tunnels: names free again, secret gone, host names gone', async () => {
      const { tag } = await newAccount('a');
      const other = await newAccount('b');
      const tunnel = newTunnel(tag, 'web');
      await store.tunnels.create(tunnel);
      await store.hostnames.route(hostname('h.example.com', tunnel.id, tag), { overwrite: false });
      await told();
      assert.equal(await store.tunnels.remove(other.tag, tunnel.id, { atMs: 9, cascade: true }), 'missing');
      assert.equal(await store.tunnels.remove(tag, tunnel.id, { atMs: 9, cascade: false }), 'removed');
      assert.deepEqual(await kinds(), ['hostname-removed', 'tunnel-deleted']);
      assert.equal(await store.tunnels.remove(tag, tunnel.id, { atMs: 9, cascade: false }), 'missing');
      assert.equal((await store.tunnels.get(tag, tunnel.id))?.deletedAtMs, 9);
      assert.equal(await store.tunnels.secret(tunnel.id), undefined);
      assert.equal(await store.hostnames.get('h.example.com'), undefined);
      await store.tunnels.create(newTunnel(tag, 'web'));
    });

    it('lists tunnels by filter and page', async () => {
      const { tag } = await newAccount('a');
      const { tag: otherTag } = await newAccount('b');
      await store.tunnels.create(newTunnel(otherTag, 'foreign'));
      const tunnels: NewTunnel[] = [];
      for (const [index, name] of ['web-1', 'web-2', 'web_%', 'db-1', 'old'].entries()) {
        const tunnel = newTunnel(tag, name, index);
        tunnels.push(tunnel);
        await store.tunnels.create(tunnel);
      }
      const [first, , , , old] = tunnels;
      assert.ok(first !== undefined && old !== undefined);
      await store.tunnels.remove(tag, old.id, { atMs: 50, cascade: false });
      const names = async (filter: object): Promise<string[]> =>
        (await store.tunnels.list(tag, { page: 1, perPage: 100, ...filter })).items.map(item => item.name);
      assert.deepEqual(await names({}), ['old', 'db-1', 'web_%', 'web-2', 'web-1']);
      assert.deepEqual(await names({ deleted: false }), ['db-1', 'web_%', 'web-2', 'web-1']);
      assert.deepEqual(await names({ deleted: true }), ['old']);
      assert.deepEqual(await names({ name: 'web-1' }), ['web-1']);
      assert.deepEqual(await names({ namePrefix: 'web_' }), ['web_%']);
      assert.deepEqual(await names({ excludePrefix: 'web' }), ['old', 'db-1']);
      assert.deepEqual(await names({ id: first.id.toUpperCase() }), ['web-1']);
      assert.deepEqual(await names({ existedAtMs: 1 }), ['web-2', 'web-1']);
      assert.deepEqual(await names({ existedAtMs: 50 }), ['db-1', 'web_%', 'web-2', 'web-1']);
      const page = await store.tunnels.list(tag, { page: 2, perPage: 2 });
      assert.equal(page.total, 5);
      assert.deepEqual(
        page.items.map(item => item.name),
        ['web_%', 'web-2'],
      );
      assert.deepEqual((await store.tunnels.list(tag, { page: 9, perPage: 2 })).items, []);
    });

    it('counts configuration versions', async () => {
      const { tag } = await newAccount('a');
      const { tag: otherTag } = await newAccount('b');
      const tunnel = newTunnel(tag, 'web');
      await store.tunnels.create(tunnel);
      assert.equal(await store.tunnels.configuration(tunnel.id), undefined);
      assert.equal(await store.tunnels.setConfiguration(otherTag, tunnel.id, '{}', 1), undefined);
      assert.equal((await store.tunnels.setConfiguration(tag, tunnel.id, '{"a":1}', 1))?.version, 1);
      await told();
      const second = await store.tunnels.setConfiguration(tag, tunnel.id, '{"a":2}', 7);
      assert.deepEqual(second, { tunnelId: tunnel.id, version: 2, config: '{"a":2}', updatedAtMs: 7 });
      assert.deepEqual(await kinds(), ['configuration']);
      await reopen();
      assert.deepEqual(await store.tunnels.configuration(tunnel.id), second);
      assert.equal((await store.tunnels.find(tunnel.id))?.configVersion, 2);
    });

    it('routes host names and never takes one from another account', async () => {
      const { tag } = await newAccount('a');
      const { tag: otherTag } = await newAccount('b');
      const one = newTunnel(tag, 'one');
      const two = newTunnel(tag, 'two');
      const foreign = newTunnel(otherTag, 'one');
      for (const tunnel of [one, two, foreign]) await store.tunnels.create(tunnel);
      await told();
      const route = (id: TunnelId, account: string, overwrite: boolean): Promise<string> =>
        store.hostnames.route(hostname('h.example.com', id, account), { overwrite });
      assert.equal(await route(one.id, tag, false), 'new');
      assert.equal(await route(one.id, tag, false), 'unchanged');
      assert.equal(await route(two.id, tag, false), 'taken');
      assert.equal(await route(foreign.id, otherTag, true), 'foreign');
      assert.equal((await store.hostnames.get('h.example.com'))?.tunnelId, one.id);
      assert.deepEqual(await kinds(), ['hostname-routed']);
      assert.equal(await route(two.id, tag, true), 'updated');
      const [change] = await told();
      assert.ok(change?.kind === 'hostname-routed' && change.route.tunnelId === two.id);
      await store.hostnames.route(hostname('*.example.com', one.id, tag), { overwrite: false });
      await reopen();
      const names = (await store.hostnames.list()).map(item => [item.hostname, item.tunnelId]);
      assert.deepEqual(names, [
        ['*.example.com', one.id],
        ['h.example.com', two.id],
      ]);
      await told();
      const { id } = (await store.hostnames.get('h.example.com')) ?? assert.fail();
      assert.equal(await store.hostnames.remove(otherTag, id), false);
      assert.equal(await store.hostnames.remove(tag, id), true);
      assert.equal(await store.hostnames.remove(tag, id), false);
      assert.deepEqual(await kinds(), ['hostname-removed']);
    });

    it('makes and forgets quick tunnels whole', async () => {
      const { tag } = await newAccount('quick');
      const tunnel = newTunnel(tag, 'calm-otter-lamp-42');
      const quick = { tunnelId: tunnel.id, hostname: 'calm.localhost', clientAddress: '192.0.2.1', createdAtMs: 4 };
      await store.quickTunnels.create(tunnel, quick);
      const again = newTunnel(tag, 'other');
      await assert.rejects(store.quickTunnels.create(again, { ...quick, tunnelId: again.id }), {
        code: 'store.conflict',
      });
      assert.equal(await store.tunnels.find(again.id), undefined);
      await reopen();
      assert.deepEqual(await store.quickTunnels.list(), [quick]);
      assert.equal((await store.hostnames.get('calm.localhost'))?.tunnelId, tunnel.id);
      await told();
      assert.equal(await store.quickTunnels.remove([createTunnelId(), tunnel.id]), 1);
      assert.deepEqual(await kinds(), ['hostname-removed', 'tunnel-deleted']);
      assert.equal(await store.quickTunnels.remove([tunnel.id]), 0);
      assert.equal(await store.tunnels.find(tunnel.id), undefined);
      assert.deepEqual(await store.hostnames.list(), []);
    });

    it('has exactly one default network an account, always', async () => {
      const { tag, networkId } = await newAccount('a');
      const { tag: otherTag, networkId: otherNetwork } = await newAccount('b');
      const office = newNetwork(tag, 'office');
      await store.networks.create(office);
      const defaults = async (): Promise<string[]> =>
        (await store.networks.list(tag)).filter(item => item.isDefault).map(item => item.id);
      assert.deepEqual(await defaults(), [networkId]);
      await assert.rejects(store.networks.create(newNetwork(tag, 'office')), { code: 'store.conflict' });
      assert.equal((await store.networks.update(tag, office.id, { isDefault: true }))?.isDefault, true);
      assert.deepEqual(await defaults(), [office.id]);
      assert.equal((await store.networks.update(tag, office.id, { isDefault: false }))?.isDefault, true);
      assert.equal(await store.networks.remove(tag, office.id, { atMs: 3, force: true }), 'default');
      const lab = newNetwork(tag, 'lab', { isDefault: true });
      await store.networks.create(lab);
      assert.deepEqual(await defaults(), [lab.id]);
      // A conflict on the name takes the change of the default back with it.
      await assert.rejects(store.networks.create(newNetwork(tag, 'lab', { isDefault: true })), {
        code: 'store.conflict',
      });
      await assert.rejects(store.networks.update(tag, office.id, { name: 'lab', isDefault: true }), {
        code: 'store.conflict',
      });
      assert.deepEqual(await defaults(), [lab.id]);
      assert.equal(await store.networks.update(otherTag, office.id, { comment: 'x' }), undefined);
      assert.equal(await store.networks.get(otherTag, office.id), undefined);
      assert.equal((await store.networks.update(tag, office.id, { comment: 'c' }))?.comment, 'c');
      assert.deepEqual(
        (await store.networks.list(otherTag)).map(item => item.id),
        [otherNetwork],
      );
      await reopen();
      assert.deepEqual(await defaults(), [lab.id]);
    });

    it('keeps private routes by network, and refuses to orphan them', async () => {
      const { tag, networkId } = await newAccount('a');
      const other = await newAccount('b');
      const tunnel = newTunnel(tag, 'one');
      const foreign = newTunnel(other.tag, 'one');
      for (const item of [tunnel, foreign]) await store.tunnels.create(item);
      const office = newNetwork(tag, 'office');
      await store.networks.create(office);
      await told();
      const ip = (networkOf: string, prefix = '10.1.0.0/16', more: Partial<IpRouteRecord> = {}): IpRouteRecord => ({
        ...{ id: randomUUID(), accountTag: tag, networkId: networkOf, prefix, tunnelId: tunnel.id },
        ...{ comment: '', createdAtMs: 2, deletedAtMs: undefined },
        ...more,
      });
      const inDefault = ip(networkId);
      const inOffice = ip(office.id);
      await store.ipRoutes.create(inDefault);
      await store.ipRoutes.create(inOffice);
      await assert.rejects(store.ipRoutes.create(ip(office.id)), { code: 'store.conflict' });
      await assert.rejects(store.ipRoutes.create(ip(other.networkId)), { code: 'store.failed' });
      await assert.rejects(store.ipRoutes.create(ip(office.id, '10.2.0.0/16', { tunnelId: foreign.id })), {
        code: 'store.failed',
      });
      assert.deepEqual(await kinds(), ['ip-route-added', 'ip-route-added']);
      assert.equal(await store.networks.remove(tag, office.id, { atMs: 3, force: false }), 'busy');
      assert.equal(await store.tunnels.remove(tag, tunnel.id, { atMs: 3, cascade: false }), 'busy');
      const second = newTunnel(tag, 'moved to');
      await store.tunnels.create(second);
      await kinds();
      const moved = { ...inOffice, tunnelId: second.id };
      assert.deepEqual(await store.ipRoutes.update(tag, inOffice.id, { tunnelId: second.id }), moved);
      assert.deepEqual(await kinds(), ['ip-route-deleted', 'ip-route-added']);
      assert.equal(await store.ipRoutes.update(other.tag, inOffice.id, { comment: 'x' }), undefined);
      await assert.rejects(store.ipRoutes.update(tag, inOffice.id, { tunnelId: foreign.id }), { code: 'store.failed' });
      await store.ipRoutes.update(tag, inOffice.id, { tunnelId: inOffice.tunnelId });
      await kinds();
      assert.equal(await store.ipRoutes.remove(other.tag, inOffice.id, 4), undefined);
      assert.deepEqual(await store.ipRoutes.remove(tag, inOffice.id, 4), { ...inOffice, deletedAtMs: 4 });
      assert.equal(await store.ipRoutes.remove(tag, inOffice.id, 5), undefined);
      await store.ipRoutes.create(ip(office.id));
      assert.deepEqual(await kinds(), ['ip-route-deleted', 'ip-route-added']);
      assert.equal(await store.networks.remove(tag, office.id, { atMs: 6, force: true }), 'removed');
      assert.deepEqual(await kinds(), ['ip-route-deleted', 'network-deleted']);
      await reopen();
      const live = (await store.ipRoutes.list(tag)).filter(item => item.deletedAtMs === undefined);
      assert.deepEqual(live, [inDefault]);
      assert.equal((await store.ipRoutes.list()).length, 3);
      assert.deepEqual(await store.ipRoutes.list(other.tag), []);
      assert.equal(await store.tunnels.remove(tag, tunnel.id, { atMs: 7, cascade: true }), 'removed');
      assert.deepEqual(await kinds(), ['ip-route-deleted', 'tunnel-deleted']);
    });

    it('keeps private host names by network', async () => {
      const { tag, networkId } = await newAccount('a');
      const other = await newAccount('b');
      const tunnel = newTunnel(tag, 'one');
      await store.tunnels.create(tunnel);
      await told();
      const name = (): PrivateHostnameRecord => ({
        ...{ id: randomUUID(), accountTag: tag, networkId, hostname: 'db.internal', tunnelId: tunnel.id },
        ...{ comment: 'the database', createdAtMs: 2, deletedAtMs: undefined },
      });
      const route = name();
      await store.privateHostnames.create(route);
      await assert.rejects(store.privateHostnames.create(name()), { code: 'store.conflict' });
      assert.equal(await store.privateHostnames.remove(other.tag, route.id, 3), undefined);
      assert.deepEqual(await kinds(), ['private-hostname-added']);
      await reopen();
      assert.deepEqual(await store.privateHostnames.list(tag), [route]);
      assert.equal((await store.privateHostnames.remove(tag, route.id, 3))?.deletedAtMs, 3);
      assert.deepEqual(await kinds(), ['private-hostname-deleted']);
    });

    it('tells other openers of the same store that something changed', async () => {
      const second = await place.open();
      try {
        const reset = new Promise<void>(resolve => {
          second.changes.subscribe(change => {
            if (change.kind === 'reset' || change.kind === 'network-changed') resolve();
          });
        });
        await newAccount('a');
        await reset;
        assert.equal((await second.accounts.byName('a'))?.name, 'a');
        assert.deepEqual(await kinds(), ['network-changed']);
      } finally {
        await second.close();
      }
    });

    it('is closed for good', async () => {
      await store.close();
      await store.close();
      await assert.rejects(store.hostnames.list(), { code: 'store.failed' });
    });
  });
}

function newTunnel(accountTag: string, name: string, createdAtMs = 2): NewTunnel {
  const secret = { hash: new Uint8Array(48).fill(1), sealed: new Uint8Array(60).fill(2) };
  return { id: createTunnelId(), accountTag, name, secret, createdAtMs };
}

function newNetwork(accountTag: string, name: string, more: Partial<NetworkRecord> = {}): NetworkRecord {
  return {
    ...{ id: randomUUID(), accountTag, name, comment: '', isDefault: false, createdAtMs: 1, deletedAtMs: undefined },
    ...more,
  };
}

function hostname(name: string, tunnelId: TunnelId, accountTag: string) {
  return { hostname: name, tunnelId, accountTag, createdAtMs: 3 };
}
