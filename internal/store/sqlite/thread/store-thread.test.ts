// A store whose file another process has locked, and one whose thread dies: what becomes of calls, and of everybody else.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { listen } from '../../../../test/support/origin-server.ts';
import { temporaryDirectory } from '../../../../test/support/program.ts';
import { holdLock } from '../../../../test/support/store-lock.ts';
import { until, within } from '../../../../test/support/wait.ts';
import type { PosternError } from '../../../errors/error.ts';
import { createTag } from '../../../schema/api/id.ts';
import type { Store } from '../../contract/store.ts';
import { openSqliteStore, type SqliteStoreOptions } from './sqlite-store.ts';

async function open(
  t: TestContext,
  options: Partial<SqliteStoreOptions> = {},
): Promise<{ store: Store; path: string }> {
  const path = join(await temporaryDirectory(t), 'edge.db');
  const store = await openSqliteStore({ path, ...options });
  t.after(() => store.close());
  return { store, path };
}

function addAccount(store: Store, name: string): Promise<void> {
  const tag = createTag();
  return store.accounts.create(
    { tag, name, createdAtMs: 1 },
    { id: createTag(), accountTag: tag, domain: 'example.com' },
    {
      id: crypto.randomUUID(),
      accountTag: tag,
      name: 'default',
      comment: '',
      isDefault: true,
      createdAtMs: 1,
      deletedAtMs: undefined,
    },
  );
}

describe('a store that another process has locked', () => {
  it('lets requests and reads through while a write waits, which then succeeds', async t => {
    const { store, path } = await open(t, { lockWaitMs: 60_000 });
    await addAccount(store, 'first');
    const port = await listen(
      t,
      createServer((_request, response) => response.end('served')),
    );
    const lock = await holdLock(t, path);
    let written = false;
    const writing = addAccount(store, 'second').then(() => {
      written = true;
    });
    // Served by this thread, the one that called for the write.
    for (let request = 0; request < 30; request += 1) {
      const response = await fetch(`http://127.0.0.1:${port}/`);
      assert.equal(await response.text(), 'served');
      assert.equal((await store.accounts.byName('first'))?.name, 'first');
    }
    assert.equal(await store.accounts.byName('second'), undefined);
    assert.equal(written, false);
    await lock.release();
    await within('the write', writing);
    assert.equal((await store.accounts.byName('second'))?.name, 'second');
  });

  it('fails a write that waited too long, which leaves nothing behind, and serves the next', async t => {
    const { store, path } = await open(t, { lockWaitMs: 100 });
    const lock = await holdLock(t, path);
    const message = /write lock of .*edge\.db for 100 ms; nothing was changed/;
    // They wait together, not one after the other.
    for (const result of await Promise.allSettled([addAccount(store, 'a'), addAccount(store, 'b')])) {
      assert.ok(result.status === 'rejected');
      assert.equal(result.reason.code, 'store.busy');
      assert.match(result.reason.message, message);
    }
    await lock.release();
    await addAccount(store, 'a');
    assert.equal(await store.accounts.byName('b'), undefined);
  });

  it('finishes a write that waits before it closes', async t => {
    const { store, path } = await open(t, { lockWaitMs: 60_000 });
    const lock = await holdLock(t, path);
    const writing = addAccount(store, 'late');
    const closing = store.close();
    await lock.release();
    await within('the write', writing);
    await within('the end', closing);
    await assert.rejects(store.accounts.byName('late'), { code: 'store.failed', message: /is closed/ });
    await using again = await openSqliteStore({ path });
    assert.equal((await again.accounts.byName('late'))?.name, 'late');
  });

  it('takes a bounded number of calls', async t => {
    const { store, path } = await open(t, { lockWaitMs: 1_000 });
    const lock = await holdLock(t, path);
    const writes = Array.from({ length: 9_000 }, () => store.accounts.setZoneDomain('none', 'example.com'));
    // Of all, at once: on a slow machine the first ones have waited in vain before the last ones are refused.
    const settled = Promise.allSettled(writes);
    const refused = (await Promise.allSettled(writes.slice(8_192))).filter(
      result => result.status === 'rejected' && result.reason.code === 'store.busy',
    );
    assert.equal(refused.length, 9_000 - 8_192);
    await lock.release();
    await settled;
    await addAccount(store, 'after');
  });
});

describe('a store whose thread dies', () => {
  it('fails the calls that ran, says so, and serves the next from a new thread', async t => {
    const started = Promise.withResolvers<Worker>();
    process.once('worker', started.resolve);
    const died = Promise.withResolvers<PosternError>();
    const { store, path } = await open(t, { lockWaitMs: 60_000, onDeath: died.resolve });
    await addAccount(store, 'before');
    const reset = new Promise<void>(resolve => {
      store.changes.subscribe(change => {
        if (change.kind === 'reset') resolve();
      });
    });
    const lock = await holdLock(t, path);
    const writing = addAccount(store, 'lost');
    const failed = assert.rejects(writing, { code: 'store.failed', message: /thread .* has ended/ });
    await (await started.promise).terminate();
    await failed;
    assert.equal((await within('the news', died.promise)).code, 'store.failed');
    await lock.release();
    await until('a new thread', () => store.accounts.byName('before').then(Boolean, () => false));
    await within('a reset', reset);
    assert.equal(await store.accounts.byName('lost'), undefined);
    await addAccount(store, 'after');
  });

  it('closes all the same', async t => {
    const started = Promise.withResolvers<Worker>();
    process.once('worker', started.resolve);
    const { store } = await open(t);
    await (await started.promise).terminate();
    await within('the end', store.close());
    await assert.rejects(store.accounts.byName('a'), { code: 'store.failed' });
  });
});
