// What every variant of the edge's store must do with certificates (internal/store/contract/store.ts), as one suite over a factory.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createTag } from '../../../internal/schema/api/id.ts';
import type { Store } from '../../../internal/store/contract/store.ts';
import type { StorePlace } from './store-contract.ts';

const authority = 'https://ca.example/dir';
const issued = { chain: 'chain', sealedKey: Buffer.from([1, 2, 3]), issuedAtMs: 10, expiresAtMs: 1_000 };

export function describeCertificateContract(variant: string, createPlace: () => Promise<StorePlace>): void {
  describe(`certificate contract: ${variant}`, () => {
    let place: StorePlace;
    let store: Store;
    let accountTag: string;
    beforeEach(async () => {
      place = await createPlace();
      store = await place.open();
      accountTag = createTag();
      const network = { id: randomUUID(), accountTag, name: 'default', comment: '', isDefault: true };
      await store.accounts.create(
        { tag: accountTag, name: 'a', createdAtMs: 1 },
        { id: createTag(), accountTag, domain: 'example.com' },
        { ...network, createdAtMs: 1, deletedAtMs: undefined },
      );
    });
    afterEach(async () => {
      await store.close();
      await place.discard();
    });
    const claim = (name: string, nowMs: number, limits: { readonly account?: number; readonly all?: number } = {}) =>
      store.certificates.claim({
        ...{ authority, name, accountTag, nowMs, untilMs: nowMs + 100, sinceMs: nowMs - 500 },
        ...{ maxOfAccount: limits.account ?? 10, maxOfAuthority: limits.all ?? 10 },
      });

    it('gives a name to one who asks at a time, until it is said how it ended or the time is over', async () => {
      const claims = await Promise.all([
        claim('a.example.com', 0),
        claim('a.example.com', 0),
        claim('b.example.com', 0),
      ]);
      assert.deepEqual(claims.toSorted(), ['claimed', 'claimed', 'held']);
      assert.equal(await claim('a.example.com', 99), 'held');
      assert.equal(await claim('a.example.com', 100), 'claimed');
    });

    it('keeps what was issued while renewing fails', async () => {
      await claim('a.example.com', 5);
      await store.certificates.keep(authority, 'a.example.com', issued, 600);
      await claim('a.example.com', 600);
      await store.certificates.fail(authority, 'a.example.com', 'no', 700);
      await store.certificates.fail(authority, 'a.example.com', 'still no', 800);
      const [record, ...rest] = await store.certificates.list(authority);
      assert.deepEqual(rest, []);
      assert.ok(record?.issued !== undefined);
      assert.deepEqual(Buffer.from(record.issued.sealedKey), issued.sealedKey);
      assert.deepEqual(
        [record.issued.chain, record.attemptedAtMs, record.nextAtMs, record.failures, record.problem],
        ['chain', 600, 800, 2, 'still no'],
      );
      await store.certificates.keep(authority, 'a.example.com', { ...issued, chain: 'new' }, 900);
      const [renewed] = await store.certificates.list(authority);
      assert.deepEqual([renewed?.issued?.chain, renewed?.failures, renewed?.problem], ['new', 0, undefined]);
      assert.deepEqual(await store.certificates.list('https://other.example/dir'), []);
      await store.certificates.remove(authority, 'a.example.com');
      assert.deepEqual(await store.certificates.list(authority), []);
    });

    it('counts orders of a time, and never refuses a renewal for them', async () => {
      assert.equal(await claim('a.example.com', 0, { account: 1 }), 'claimed');
      assert.equal(await claim('b.example.com', 0, { account: 1 }), 'account');
      assert.equal(await claim('b.example.com', 0, { all: 1 }), 'authority');
      await store.certificates.keep(authority, 'a.example.com', issued, 50);
      assert.equal(await claim('a.example.com', 50, { account: 1, all: 1 }), 'claimed');
      assert.equal(await claim('b.example.com', 501, { account: 1 }), 'claimed');
    });

    it('keeps one account of an authority', async () => {
      assert.equal(await store.certificates.account(authority), undefined);
      for (const url of ['https://ca.example/1', 'https://ca.example/2']) {
        await store.certificates.setAccount({ authority, url, sealedKey: Buffer.from([9]) });
        assert.equal((await store.certificates.account(authority))?.url, url);
      }
    });
  });
}
