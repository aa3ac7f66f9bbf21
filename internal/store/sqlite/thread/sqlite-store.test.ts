// The store contract over SQLite, and what only SQLite has to show: file modes, migrations, and a kill at any moment.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import { describeBalancingContract } from '../../../../test/conformance/store/balancing-contract.ts';
import { describeCertificateContract } from '../../../../test/conformance/store/certificate-contract.ts';
import { describeChangeContract } from '../../../../test/conformance/store/change-contract.ts';
import { describePeopleContract } from '../../../../test/conformance/store/people-contract.ts';
import { describePresenceContract } from '../../../../test/conformance/store/presence-contract.ts';
import { describePublicPortContract } from '../../../../test/conformance/store/public-port-contract.ts';
import { describeStoreContract, type StorePlace } from '../../../../test/conformance/store/store-contract.ts';
import { LateStore } from '../../../../test/support/late-store.ts';
import { createTag, createTunnelId, parseTunnelId, type TunnelId } from '../../../schema/api/id.ts';
import type { IpRouteRecord } from '../../contract/records.ts';
import { maxAuditEntries } from '../../sql/audit.ts';
import { keepDeletedMs } from '../../sql/store-parts.ts';
import { migrations } from '../migrations.ts';
import { openSqliteStore } from './sqlite-store.ts';

const temporary = (): string => mkdtempSync(join(tmpdir(), 'postern-store-'));

const createPlace = async (): Promise<StorePlace> => {
  const directory = temporary();
  return {
    // The suite deletes rows in the first milliseconds of 1970, and the clock is not a month later yet.
    open: () => openSqliteStore({ path: join(directory, 'edge.db'), pollIntervalMs: 20, now: () => 1000 }),
    discard: async () => rmSync(directory, { recursive: true }),
  };
};
describeStoreContract('sqlite', createPlace);
// The double that tests of followers use keeps the same contract.
describeStoreContract('sqlite, told late', async () => {
  const place = await createPlace();
  return { ...place, open: async () => new LateStore(await place.open()).store };
});
describePresenceContract('sqlite', createPlace);
describeBalancingContract('sqlite', createPlace);
describePublicPortContract('sqlite', createPlace);
describePeopleContract('sqlite', createPlace);
describeCertificateContract('sqlite', createPlace);
describeChangeContract('sqlite', createPlace);

describe('sqlite store', () => {
  let directory = '';
  before(() => {
    directory = temporary();
  });
  after(() => rmSync(directory, { recursive: true }));

  it('keeps every acknowledged write over kill -9', async () => {
    const path = join(directory, 'killed.db');
    const acknowledged: string[] = [];
    // Killed in the middle of its writes three times, each time going on with the same file.
    for (let round = 0; round < 3; round += 1) {
      const writer = join(import.meta.dirname, '../../../../test/support/store-crash-writer.ts');
      const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', writer, path], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const wanted = acknowledged.length + 40 + round * 7;
      for await (const line of createInterface({ input: child.stdout })) {
        acknowledged.push(line);
        if (acknowledged.length === wanted) child.kill('SIGKILL');
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      assert.equal(child.signalCode, 'SIGKILL');
    }
    const raw = new DatabaseSync(path);
    assert.equal(raw.prepare('PRAGMA integrity_check').get()?.integrity_check, 'ok');
    assert.deepEqual(raw.prepare('PRAGMA foreign_key_check').all(), []);
    raw.close();
    await using store = await openSqliteStore({ path });
    assert.ok(acknowledged.length >= 120);
    const routes = new Map((await store.hostnames.list()).map(route => [route.hostname, route.tunnelId]));
    for (const line of acknowledged) {
      const id = parseTunnelId(line);
      assert.ok(id !== undefined, `the writer printed ${line}`);
      assert.equal((await store.tunnels.find(id))?.name, `t-${id}`);
      assert.equal(routes.get(`${id}.example.com`), id);
      assert.equal((await store.tunnels.configuration(id))?.version, 1);
    }
    // A transaction is whole: no quick tunnel without its host name, none of either without its tunnel.
    for (const quick of await store.quickTunnels.list()) assert.equal(routes.get(quick.hostname), quick.tunnelId);
  });

  it('makes its files unreadable for others', async () => {
    const path = join(directory, 'mode.db');
    const umask = process.umask(0);
    try {
      await using store = await openSqliteStore({ path });
      await store.accounts.revokeToken('', '');
      for (const name of [path, `${path}-wal`, `${path}-shm`]) assert.equal(statSync(name).mode & 0o077, 0, name);
    } finally {
      process.umask(umask);
    }
  });

  it('says so when the file is not a database, or of a newer program', async () => {
    const path = join(directory, 'text.db');
    writeFileSync(path, 'this is not a database, though it is long enough to be looked at as one '.repeat(20));
    await assert.rejects(openSqliteStore({ path }), { code: 'store.failed' });
    const newer = join(directory, 'newer.db');
    const raw = new DatabaseSync(newer);
    raw.exec(`PRAGMA user_version = ${migrations.length + 1}`);
    raw.close();
    await assert.rejects(openSqliteStore({ path: newer }), { code: 'store.failed', message: /newer Postern/ });
    await assert.rejects(openSqliteStore({ path: join(directory, 'none', 'x.db') }), { code: 'store.failed' });
  });

  it('keeps the API tokens of an earlier schema, good for everything as they were', async () => {
    const path = join(directory, 'earlier.db');
    const raw = new DatabaseSync(path);
    raw.exec(`${migrations[0]}; PRAGMA user_version = 1`);
    const [tag, digest] = [createTag(), new Uint8Array(32).fill(9)];
    raw.prepare('INSERT INTO accounts VALUES (?, ?, ?)').run(tag, 'local', 1);
    raw.prepare('INSERT INTO api_tokens VALUES (?, ?, ?, ?)').run(digest, tag, 'local credential file', 7);
    raw.close();
    await using store = await openSqliteStore({ path });
    const { id, ...token } = (await store.accounts.tokenByDigest(digest)) ?? assert.fail();
    assert.match(id, /^[0-9a-f]{32}$/);
    assert.deepEqual(
      { ...token, digest: [...token.digest] },
      {
        ...{ digest: [...digest], accountTag: tag, label: 'local credential file', scopes: ['all'], createdAtMs: 7 },
        ...{ userId: undefined, deviceId: undefined, parentId: undefined, expiresAtMs: undefined },
      },
    );
  });

  it('keeps the newest entries of an audit log only', async () => {
    const path = join(directory, 'audit.db');
    await using store = await openSqliteStore({ path });
    const tag = createTag();
    const network = { id: randomUUID(), accountTag: tag, name: 'default', comment: '', isDefault: true };
    const zone = { id: createTag(), accountTag: tag, domain: 'localhost' };
    await store.accounts.create({ tag, name: 'a', createdAtMs: 0 }, zone, {
      ...network,
      createdAtMs: 0,
      deletedAtMs: undefined,
    });
    const raw = new DatabaseSync(path);
    raw.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${maxAuditEntries + 50})
      INSERT INTO audit SELECT i, '${tag}', i, 'a', 't', '', '', '', '', '', NULL, NULL FROM n`);
    raw.close();
    const entry = { accountTag: tag, action: 'b', target: 't', address: '', before: undefined, after: undefined };
    const nobody = { userId: '', userName: '', tokenId: '', tokenName: '' };
    for (let i = 0; i < 100; i += 1) await store.audit.add({ ...entry, ...nobody, atMs: 1_000_000 + i });
    const { total } = await store.audit.list(tag, { page: 1, perPage: 1 });
    assert.ok(total >= maxAuditEntries && total < maxAuditEntries + 100, `${total}`);
    const newest = await store.audit.list(tag, { page: 1, perPage: 100 });
    assert.ok(newest.items.every(item => item.action === 'b'));
  });

  it('forgets what was deleted a month ago, and nothing else', async () => {
    const path = join(directory, 'forget.db');
    const accountTag = createTag();
    const networkId = randomUUID();
    const [old, recent, live] = [createTunnelId(), createTunnelId(), createTunnelId()];
    const route = (tunnelId: TunnelId, prefix: string, in_: string): IpRouteRecord => ({
      id: randomUUID(),
      accountTag,
      networkId: in_,
      prefix,
      tunnelId,
      comment: '',
      createdAtMs: 0,
      deletedAtMs: undefined,
    });
    {
      await using store = await openSqliteStore({ path, now: () => 0 });
      const network = { id: networkId, accountTag, name: 'default', comment: '', isDefault: true };
      const record = { ...network, createdAtMs: 0, deletedAtMs: undefined };
      const zone = { id: createTag(), accountTag, domain: 'localhost' };
      await store.accounts.create({ tag: accountTag, name: 'a', createdAtMs: 0 }, zone, record);
      const gone = { ...record, id: randomUUID(), name: 'gone', isDefault: false };
      await store.networks.create(gone);
      const secret = { hash: new Uint8Array(48), sealed: new Uint8Array(60) };
      for (const id of [old, recent, live])
        await store.tunnels.create({ id, accountTag, name: id, secret, createdAtMs: 0 });
      await store.ipRoutes.create(route(old, '10.0.0.0/8', networkId));
      await store.ipRoutes.create(route(live, '10.0.0.0/8', gone.id));
      await store.ipRoutes.create(route(live, '11.0.0.0/8', networkId));
      await store.networks.remove(accountTag, gone.id, { atMs: 1000, force: true });
      await store.tunnels.remove(accountTag, old, { atMs: 1000, cascade: true });
      await store.tunnels.remove(accountTag, recent, { atMs: 2000, cascade: true });
    }
    await using store = await openSqliteStore({ path, now: () => keepDeletedMs + 1500 });
    assert.equal(await store.tunnels.find(old), undefined);
    assert.equal((await store.tunnels.find(recent))?.deletedAtMs, 2000);
    assert.notEqual(await store.tunnels.find(live), undefined);
    assert.deepEqual(
      (await store.ipRoutes.list()).map(item => item.prefix),
      ['11.0.0.0/8'],
    );
    assert.deepEqual(
      (await store.networks.list()).map(item => item.name),
      ['default'],
    );
  });

  it('can be opened by many at once on first start', async () => {
    const path = join(directory, 'first.db');
    const stores = await Promise.all(Array.from({ length: 5 }, () => openSqliteStore({ path })));
    for (const store of stores) {
      assert.deepEqual(await store.hostnames.list(), []);
      await store.close();
    }
  });
});
