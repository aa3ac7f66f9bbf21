// What every variant of the edge's store must do with users, groups, devices, their tokens and the audit log
// (internal/store/contract/store.ts), as one suite over a factory.

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createTag } from '../../../internal/schema/api/id.ts';
import type { NewApiToken, UserRecord } from '../../../internal/store/contract/records.ts';
import type { Store } from '../../../internal/store/contract/store.ts';
import { until } from '../../support/wait.ts';
import type { StorePlace } from './store-contract.ts';

export function describePeopleContract(variant: string, createPlace: () => Promise<StorePlace>): void {
  describe(`people contract: ${variant}`, () => {
    let place: StorePlace;
    let store: Store;
    const revoked: string[] = [];
    const open = async (): Promise<void> => {
      store = await place.open();
      store.changes.subscribe(change => {
        if (change.kind === 'token-revoked') revoked.push(change.tokenId);
      });
    };
    beforeEach(async () => {
      revoked.length = 0;
      place = await createPlace();
      await open();
    });
    afterEach(async () => {
      await store.close();
      await place.discard();
    });
    const newAccount = async (name: string): Promise<string> => {
      const tag = createTag();
      const network = { id: randomUUID(), accountTag: tag, name: 'default', comment: '', isDefault: true };
      await store.accounts.create(
        { tag, name, createdAtMs: 1 },
        { id: createTag(), accountTag: tag, domain: 'example.com' },
        { ...network, createdAtMs: 1, deletedAtMs: undefined },
      );
      return tag;
    };
    const newUser = async (accountTag: string, name: string): Promise<UserRecord> => {
      const user = { id: randomUUID(), accountTag, name, scopes: ['dns:read', 'tunnels:write'], createdAtMs: 2 };
      await store.users.create(user);
      return user;
    };
    const newToken = (accountTag: string, rest: Partial<NewApiToken> = {}) =>
      store.accounts.addToken({ digest: randomBytes(32), accountTag, label: 't', createdAtMs: 3, ...rest });
    const isToldRevoked = (ids: readonly string[]): Promise<void> =>
      until('revoked tokens', () => ids.toSorted().join() === revoked.toSorted().join());

    it('keeps users within their account', async () => {
      const [tag, other] = [await newAccount('a'), await newAccount('b')];
      const [ann, bob] = [await newUser(tag, 'ann'), await newUser(tag, 'bob')];
      await assert.rejects(newUser(tag, 'ann'), { code: 'store.conflict' });
      const same = await newUser(other, 'ann');
      await store.close();
      await open();
      assert.deepEqual(await store.users.list(tag), [ann, bob]);
      assert.deepEqual(await store.users.list(other), [same]);
      assert.deepEqual(await store.users.get(tag, ann.id), ann);
      assert.equal(await store.users.get(other, ann.id), undefined);
      assert.equal(await store.users.remove(other, ann.id), false);
      assert.equal(await store.users.remove(tag, ann.id), true);
      assert.equal(await store.users.remove(tag, ann.id), false);
      assert.deepEqual(await store.users.list(tag), [bob]);
    });

    it('keeps groups and their members', async () => {
      const [tag, other] = [await newAccount('a'), await newAccount('b')];
      const [ann, bob, stranger] = [await newUser(tag, 'ann'), await newUser(tag, 'bob'), await newUser(other, 'eve')];
      const group = { id: randomUUID(), accountTag: tag, name: 'staff', createdAtMs: 4, members: [ann.id] };
      await store.groups.create(group);
      await assert.rejects(store.groups.create({ ...group, id: randomUUID() }), { code: 'store.conflict' });
      const foreign = { ...group, id: randomUUID(), name: 'x', members: [stranger.id] };
      await assert.rejects(store.groups.create(foreign), { code: 'store.failed' });
      assert.equal(await store.groups.setMember(tag, group.id, bob.id, true), true);
      assert.equal(await store.groups.setMember(tag, group.id, bob.id, true), true);
      assert.equal(await store.groups.setMember(tag, group.id, stranger.id, true), false);
      assert.equal(await store.groups.setMember(other, group.id, stranger.id, true), false);
      const members = async (): Promise<unknown> => (await store.groups.list(tag)).map(one => one.members);
      assert.deepEqual(await members(), [[ann.id, bob.id].toSorted()]);
      assert.equal(await store.groups.setMember(tag, group.id, ann.id, false), true);
      assert.deepEqual(await store.groups.list(tag), [{ ...group, members: [bob.id] }]);
      await store.users.remove(tag, bob.id);
      assert.deepEqual(await members(), [[]]);
      assert.equal(await store.groups.remove(other, group.id), false);
      assert.equal(await store.groups.remove(tag, group.id), true);
      assert.deepEqual(await store.groups.list(tag), []);
    });

    it('keeps tokens of users and devices, and tells which are revoked with them', async () => {
      const [tag, other] = [await newAccount('a'), await newAccount('b')];
      const [ann, stranger] = [await newUser(tag, 'ann'), await newUser(other, 'eve')];
      const device = { id: randomUUID(), accountTag: tag, userId: ann.id, name: 'laptop', createdAtMs: 5 };
      await store.devices.create(device);
      await assert.rejects(store.devices.create({ ...device, id: randomUUID() }), { code: 'store.conflict' });
      await assert.rejects(store.devices.create({ ...device, id: randomUUID(), userId: stranger.id }), {
        code: 'store.failed',
      });
      const service = await newToken(tag, { scopes: ['connect'], expiresAtMs: 900 });
      const own = await newToken(tag, { userId: ann.id, createdAtMs: 4 });
      const laptop = await newToken(tag, { userId: ann.id, deviceId: device.id, createdAtMs: 5 });
      await assert.rejects(newToken(tag, { userId: stranger.id }), { code: 'store.failed' });
      await assert.rejects(newToken(tag, { deviceId: device.id }), { code: 'store.failed' });
      await assert.rejects(newToken(tag, { digest: own.digest }), { code: 'store.conflict' });
      await store.close();
      await open();
      assert.deepEqual(
        (await store.accounts.tokens(tag)).map(({ id, scopes, expiresAtMs }) => ({ id, scopes, expiresAtMs })),
        [
          { id: service.id, scopes: ['connect'], expiresAtMs: 900 },
          { id: own.id, scopes: ['all'], expiresAtMs: undefined },
          { id: laptop.id, scopes: ['all'], expiresAtMs: undefined },
        ],
      );
      assert.deepEqual(await store.accounts.knownTokens([own.id, 'none']), [own.id]);
      assert.equal(await store.accounts.revokeToken(other, own.id), false);
      assert.deepEqual(await store.devices.list(tag), [device]);
      assert.equal(await store.devices.remove(other, device.id), false);
      assert.equal(await store.devices.remove(tag, device.id), true);
      await isToldRevoked([laptop.id]);
      await store.users.remove(tag, ann.id);
      await isToldRevoked([laptop.id, own.id]);
      assert.equal(await store.accounts.tokenByDigest(own.digest), undefined);
      assert.equal(await store.accounts.revokeToken(tag, service.id), true);
      assert.equal(await store.accounts.revokeToken(tag, service.id), false);
      await isToldRevoked([laptop.id, own.id, service.id]);
    });

    it('keeps when tokens were used, at the latest time told', async () => {
      const tag = await newAccount('a');
      const { id } = await newToken(tag);
      await store.tokenUses.mark(id, 50);
      await store.tokenUses.mark(id, 40);
      assert.deepEqual(await store.tokenUses.of([id, 'none']), new Map([[id, 50]]));
      await store.close();
      await open();
      assert.deepEqual(await store.tokenUses.of([id]), new Map([[id, 50]]));
    });

    it('revokes with a token what it let be made, and forgets its login codes', async () => {
      const [tag, other] = [await newAccount('a'), await newAccount('b')];
      const ann = await newUser(tag, 'ann');
      const device = { id: randomUUID(), accountTag: tag, userId: ann.id, name: 'laptop', createdAtMs: 5 };
      await store.devices.create(device);
      const maker = await newToken(tag);
      const root = await newToken(tag, { userId: ann.id, deviceId: device.id });
      const child = await newToken(tag, { parentId: root.id });
      const grandchild = await newToken(tag, { parentId: child.id });
      assert.equal((await store.accounts.tokenByDigest(grandchild.digest))?.parentId, child.id);
      await assert.rejects(newToken(other, { parentId: root.id }), { code: 'store.failed' });
      await store.devices.remove(tag, device.id);
      await isToldRevoked([root.id, child.id, grandchild.id]);
      await assert.rejects(newToken(tag, { parentId: root.id }), { code: 'store.failed' });
      const code = {
        digest: randomBytes(32),
        userId: ann.id,
        expiresAtMs: 100,
        makerId: maker.id,
        tokenExpiresAtMs: 700,
      };
      await store.users.setLoginCode(code);
      assert.deepEqual(await store.users.takeLoginCode(code.digest, 50), {
        ...{ user: ann, makerId: maker.id, tokenExpiresAtMs: 700 },
      });
      await store.users.setLoginCode(code);
      await store.accounts.revokeToken(tag, maker.id);
      assert.equal(await store.users.takeLoginCode(code.digest, 50), undefined);
      await assert.rejects(store.users.setLoginCode(code), { code: 'store.failed' });
    });

    it('gives a user for a login code once, and in time', async () => {
      const tag = await newAccount('a');
      const ann = await newUser(tag, 'ann');
      const [first, second] = [randomBytes(32), randomBytes(32)];
      await store.users.setLoginCode({ digest: first, userId: ann.id, expiresAtMs: 100 });
      assert.equal(await store.users.takeLoginCode(second, 50), undefined);
      const taken = await Promise.all([1, 2, 3].map(() => store.users.takeLoginCode(first, 99)));
      assert.deepEqual(
        taken.filter(one => one !== undefined),
        [{ user: ann, makerId: undefined, tokenExpiresAtMs: undefined }],
      );
      await store.users.setLoginCode({ digest: first, userId: ann.id, expiresAtMs: 100 });
      await store.users.setLoginCode({ digest: second, userId: ann.id, expiresAtMs: 100 });
      assert.equal(await store.users.takeLoginCode(first, 50), undefined, 'the second one took its place');
      assert.equal(await store.users.takeLoginCode(second, 100), undefined, 'expired');
      assert.equal(await store.users.takeLoginCode(second, 50), undefined, 'and gone');
    });

    it('keeps the audit log of an account, newest first', async () => {
      const [tag, other] = [await newAccount('a'), await newAccount('b')];
      const entry = { accountTag: tag, target: '/x', tokenId: 'i', tokenName: 'n', address: '192.0.2.1' };
      for (const [atMs, action, userName] of [
        [10, 'create tunnel', 'ann'],
        [20, 'delete tunnel', 'bob'],
        [30, 'create tunnel', ''],
      ] as const)
        await store.audit.add({ ...entry, atMs, action, userId: '', userName, before: undefined, after: '{"a":1}' });
      await store.audit.add({
        ...entry,
        accountTag: other,
        atMs: 15,
        action: 'x',
        userId: '',
        userName: '',
        before: '',
        after: '',
      });
      await store.close();
      await open();
      const list = async (filter: object): Promise<number[]> =>
        (await store.audit.list(tag, { page: 1, perPage: 10, ...filter })).items.map(item => item.atMs);
      assert.deepEqual(await list({}), [30, 20, 10]);
      assert.deepEqual(await list({ sinceMs: 20 }), [30, 20]);
      assert.deepEqual(await list({ beforeMs: 30 }), [20, 10]);
      assert.deepEqual(await list({ user: 'ann' }), [10]);
      assert.deepEqual(await list({ action: 'create tunnel' }), [30, 10]);
      const second = await store.audit.list(tag, { page: 2, perPage: 2 });
      assert.equal(second.total, 3);
      const [last] = second.items;
      assert.deepEqual(last, {
        ...entry,
        ...{ id: last?.id, atMs: 10, action: 'create tunnel', userId: '', userName: 'ann' },
        ...{ before: undefined, after: '{"a":1}' },
      });
    });
  });
}
