// The store contract over PostgreSQL, and what only PostgreSQL has to show.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, describe, it } from 'node:test';
import { Client } from 'pg';
import { describeBalancingContract } from '../../../test/conformance/store/balancing-contract.ts';
import { describeChangeContract } from '../../../test/conformance/store/change-contract.ts';
import { describePeopleContract } from '../../../test/conformance/store/people-contract.ts';
import { describePresenceContract } from '../../../test/conformance/store/presence-contract.ts';
import { describePublicPortContract } from '../../../test/conformance/store/public-port-contract.ts';
import { describeStoreContract, type StorePlace } from '../../../test/conformance/store/store-contract.ts';
import { noPostgres, startPostgres } from '../../../test/support/postgres.ts';
import { until } from '../../../test/support/wait.ts';
import { createTag } from '../../schema/api/id.ts';
import type { NetworkRecord } from '../contract/records.ts';
import type { Store } from '../contract/store.ts';
import { openPostgresStore, type PostgresStoreOptions } from './postgres-store.ts';
import { parsePostgresUrl } from './server.ts';

const postgres = await startPostgres();
after(() => postgres?.stop());

if (postgres === undefined) it.skip(noPostgres);
else {
  const createPlace = async (): Promise<StorePlace> => {
    const database = await postgres.createDatabase();
    const server = parsePostgresUrl(postgres.urlWithPassword(database));
    return {
      open: () => openPostgresStore({ server, pollIntervalMs: 20, now: () => 1000 }),
      // The server goes with all of them: dropping one costs more than a test.
      discard: async () => undefined,
    };
  };
  describeStoreContract('postgres', createPlace);
  describePresenceContract('postgres', createPlace);
  describeBalancingContract('postgres', createPlace);
  describePublicPortContract('postgres', createPlace);
  describePeopleContract('postgres', createPlace);
  describeChangeContract('postgres', createPlace);

  describe('postgres store', () => {
    const place = async () => {
      const database = await postgres.createDatabase();
      const server = parsePostgresUrl(postgres.urlWithPassword(database));
      const open = (more: Partial<PostgresStoreOptions> = {}) => openPostgresStore({ server, ...more });
      return { database, open };
    };
    const network = (accountTag: string, name: string, isDefault = false): NetworkRecord => ({
      ...{ id: randomUUID(), accountTag, name, comment: '', isDefault, createdAtMs: 1, deletedAtMs: undefined },
    });
    const newAccount = async (store: Store): Promise<string> => {
      const tag = createTag();
      const zone = { id: createTag(), accountTag: tag, domain: 'example.com' };
      await store.accounts.create({ tag, name: tag, createdAtMs: 1 }, zone, network(tag, 'default', true));
      return tag;
    };
    const follow = (store: Store): string[] => {
      const heard: string[] = [];
      store.changes.subscribe(change =>
        heard.push(change.kind === 'network-changed' ? change.network.name : change.kind),
      );
      return heard;
    };

    it('is made once by edges that start together', async () => {
      const { database, open } = await place();
      const stores = await Promise.all(Array.from({ length: 5 }, () => open()));
      await newAccount(stores[0] ?? assert.fail());
      assert.equal((await postgres.query(database, 'SELECT * FROM schema_version')).length, 1);
      await Promise.all(stores.map(store => store.close()));
    });

    it('refuses a schema of a newer program', async () => {
      const { database, open } = await place();
      await (await open()).close();
      await postgres.query(database, 'UPDATE schema_version SET version = 99');
      await assert.rejects(open(), { code: 'store.failed', message: /newer Postern/ });
    });

    it('tells two edges that write at once the same changes in the same order', async () => {
      const { open } = await place();
      const [one, two] = [await open(), await open()];
      const tag = await newAccount(one);
      const heard = [follow(one), follow(two)];
      const names = Array.from({ length: 40 }, (_, index) => `n${index}`);
      await Promise.all(names.map((name, index) => (index % 2 ? one : two).networks.create(network(tag, name))));
      await until('both to hear of all', () => heard.every(list => names.every(name => list.includes(name))));
      const [first = [], second = []] = heard.map(list => list.filter(name => name !== 'default'));
      assert.deepEqual(first, second);
      assert.equal(first.length, names.length);
      await Promise.all([one.close(), two.close()]);
    });

    it('tells an edge to read again when it missed more than is kept', async () => {
      const { database, open } = await place();
      const [one, two] = [await open(), await open()];
      const heard = follow(two);
      // As if a thousand transactions had passed between two looks.
      await postgres.query(database, 'UPDATE feed SET version = version + 2000');
      await newAccount(one);
      await until('a reset', () => heard.length > 0);
      assert.deepEqual(heard, ['reset']);
      await Promise.all([one.close(), two.close()]);
    });

    it('reads over broken connections, and hears of changes again', async () => {
      const { database, open } = await place();
      const [one, two] = [await open(), await open()];
      const tag = await newAccount(one);
      const heard = follow(two);
      await two.accounts.get(tag);
      const others = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = '${database}' AND pid <> pg_backend_pid()`;
      await postgres.query(database, others);
      assert.equal((await two.accounts.get(tag))?.tag, tag);
      await until('the listener to be back', () => heard.includes('reset'));
      await one.networks.create(network(tag, 'office'));
      await until('the change', () => heard.includes('office'));
      await Promise.all([one.close(), two.close()]);
    });

    it('gives up a write while another program holds its lock, and changes nothing', async () => {
      const { database, open } = await place();
      const store = await open({ lockWaitMs: 100 });
      const tag = await newAccount(store);
      const holder = new Client(parsePostgresUrl(postgres.urlWithPassword(database)).config);
      await holder.connect();
      await holder.query('BEGIN; LOCK TABLE networks IN ACCESS EXCLUSIVE MODE');
      await assert.rejects(store.networks.create(network(tag, 'office')), { code: 'store.busy' });
      await holder.query('ROLLBACK');
      await store.networks.create(network(tag, 'office'));
      await Promise.all([store.close(), holder.end()]);
    });

    it('keeps what was acknowledged over kill -9, refuses at once meanwhile, and comes back by itself', async () => {
      const { open } = await place();
      const reachable: boolean[] = [];
      const store = await open({ onReachable: now => reachable.push(now) });
      const tag = await newAccount(store);
      const acknowledged: string[] = [];
      const refused: unknown[] = [];
      const write = async (): Promise<void> => {
        for (let count = 0; refused.length === 0; count += 1) {
          const name = `n${count}`;
          await store.networks.create(network(tag, name)).then(
            () => acknowledged.push(name),
            error => refused.push(error),
          );
          if (count === 20) void postgres.kill();
        }
      };
      await write();
      await until('it to be known', () => !store.isReachable());
      const before = performance.now();
      await assert.rejects(store.networks.create(network(tag, 'away')), { code: 'store.away' });
      await assert.rejects(store.networks.list(tag), { code: 'store.away' });
      assert.ok(performance.now() - before < 1_000);
      await postgres.start();
      await until('it to be back', () => store.isReachable());
      const kept = new Set((await store.networks.list(tag)).map(({ name }) => name));
      assert.ok(acknowledged.length > 20);
      for (const name of acknowledged) assert.ok(kept.has(name), name);
      assert.ok(!kept.has('away'));
      assert.deepEqual(reachable, [false, true]);
      await store.close();
    });
  });
}
