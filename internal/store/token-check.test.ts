import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { it } from 'node:test';
import { createTag } from '../schema/api/id.ts';
import { createApiToken, digestApiToken } from './secret-box.ts';
import { openSqliteStore } from './sqlite/thread/sqlite-store.ts';
import { TokenCheck, useIntervalMs } from './token-check.ts';

async function open() {
  const store = await openSqliteStore({ path: ':memory:' });
  const tag = createTag();
  const network = { id: randomUUID(), accountTag: tag, name: 'default', comment: '', isDefault: true };
  await store.accounts.create(
    { tag, name: 'a', createdAtMs: 0 },
    { id: createTag(), accountTag: tag, domain: 'localhost' },
    { ...network, createdAtMs: 0, deletedAtMs: undefined },
  );
  const text = createApiToken();
  const token = { digest: digestApiToken(text), accountTag: tag, label: '', createdAtMs: 0 };
  const { id } = await store.accounts.addToken({ ...token, expiresAtMs: 1_000_000 });
  return { store, text, id, tag };
}

it('a token is found until it expires or is revoked, and no other text is one', async () => {
  const { store, text, id, tag } = await open();
  await using _store = store;
  let now = 0;
  const check = new TokenCheck({ store, now: () => now });
  assert.equal((await check.find(text))?.id, id);
  for (const other of ['', `${text} `, text.slice(1), createApiToken(), 'x'.repeat(10_000)])
    assert.equal(await check.find(other), undefined, other.slice(0, 50));
  now = 999_999;
  assert.equal((await check.find(text))?.id, id);
  now = 1_000_000;
  assert.equal(await check.find(text), undefined);
  now = 0;
  await store.accounts.revokeToken(tag, id);
  assert.equal(await check.find(text), undefined);
});

it('the use of a token is written once a minute, however often it is used', async () => {
  const { store, text, id } = await open();
  await using _store = store;
  let now = 1_000;
  const marks: number[] = [];
  const tokenUses = {
    ...store.tokenUses,
    mark: async (tokenId: string, atMs: number) => {
      marks.push(atMs);
      await store.tokenUses.mark(tokenId, atMs);
    },
  };
  const check = new TokenCheck({ store: { accounts: store.accounts, tokenUses }, now: () => now });
  await Promise.all(Array.from({ length: 50 }, () => check.find(text)));
  now += useIntervalMs - 1;
  await check.find(text);
  now += 1;
  await check.find(text);
  assert.deepEqual(marks, [1_000, 1_000 + useIntervalMs]);
  assert.deepEqual(await store.tokenUses.of([id]), new Map([[id, 1_000 + useIntervalMs]]));
});
