import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { until } from '../../../test/support/wait.ts';
import { ChangeFeed, type StoreChange } from '../contract/changes.ts';
import { followTable } from './follow-table.ts';

const added = (networkId: string): StoreChange => ({
  kind: 'network-changed',
  network: {
    id: networkId,
    accountTag: 'a',
    name: networkId,
    comment: '',
    isDefault: false,
    createdAtMs: 1,
    deletedAtMs: undefined,
  },
});
const deleted = (networkId: string): StoreChange => ({ kind: 'network-deleted', networkId });
const reset: StoreChange = { kind: 'reset' };

/** A table of ids whose reads the test answers, one after the other. */
function create() {
  const feed = new ChangeFeed();
  const reads: PromiseWithResolvers<readonly string[]>[] = [];
  const errors: unknown[] = [];
  let ids = new Set<string>();
  let changes = 0;
  const following = followTable(feed, {
    read: () => {
      const read = Promise.withResolvers<readonly string[]>();
      reads.push(read);
      return read.promise;
    },
    replace: snapshot => {
      ids = new Set(snapshot);
    },
    apply: change => {
      if (change.kind === 'network-changed') ids.add(change.network.id);
      else if (change.kind === 'network-deleted') ids.delete(change.networkId);
      else return false;
      return true;
    },
    onChange: () => {
      changes += 1;
    },
    onError: error => errors.push(error),
  });
  const answer = async (...snapshot: string[]): Promise<void> => {
    reads.at(-1)?.resolve(snapshot);
    await nextTurn();
  };
  return { feed, reads, errors, following, answer, ids: () => [...ids].sort(), changes: () => changes };
}

describe('a table that follows the store', () => {
  it('takes changes during a read, whether the read shows them or not', async () => {
    const { feed, following, answer, ids } = create();
    feed.publish(added('shown'));
    feed.publish(added('not shown'));
    feed.publish(added('gone'));
    feed.publish(deleted('gone'));
    await answer('before', 'shown');
    await following;
    assert.deepEqual(ids(), ['before', 'not shown', 'shown']);
    // A store may tell of what the read showed only now: the end is the same.
    feed.publish(added('late'));
    feed.publish(deleted('late'));
    assert.deepEqual(ids(), ['before', 'not shown', 'shown']);
  });

  it('keeps serving what it knows, and changes, while it reads again', async () => {
    const { feed, following, answer, ids } = create();
    await answer('a');
    await following;
    feed.publish(reset);
    feed.publish(added('b'));
    assert.deepEqual(ids(), ['a', 'b']);
    await answer('a', 'c');
    assert.deepEqual(ids(), ['a', 'b', 'c']);
  });

  it('reads once more for a reset during a read, and for more changes than it keeps', async () => {
    const { feed, reads, following, answer, ids } = create();
    feed.publish(reset);
    await answer('old');
    assert.equal(reads.length, 2);
    for (let count = 0; count <= 10_000; count += 1) feed.publish(added('x'));
    await answer('old');
    assert.equal(reads.length, 3);
    await answer('new');
    await following;
    assert.deepEqual(ids(), ['new']);
  });

  it('tells of a read that failed, and reads again by itself until it is stopped', async () => {
    const { feed, reads, errors, following, answer, ids, changes } = create();
    await answer('a');
    const stop = await following;
    feed.publish(reset);
    reads.at(-1)?.reject(new Error('locked'));
    await until('another read', () => reads.length === 3);
    assert.deepEqual([errors.length, ids(), changes()], [1, ['a'], 1]);
    await answer('b');
    assert.deepEqual([ids(), changes()], [['b'], 2]);
    stop();
    feed.publish(reset);
    feed.publish(added('c'));
    assert.deepEqual([reads.length, ids()], [3, ['b']]);
  });

  it('rejects when the first read fails, and follows no more', async () => {
    const { feed, reads, following } = create();
    reads[0]?.reject(new Error('locked'));
    await assert.rejects(following, /locked/);
    feed.publish(reset);
    assert.equal(reads.length, 1);
  });
});
