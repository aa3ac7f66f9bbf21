// Configurations on their way from the store to connectors: over the feed alone, whoever wrote them and whenever.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { claimFor } from '../../test/support/bare-connector.ts';
import { LateStore } from '../../test/support/late-store.ts';
import { openMemoryPair } from '../../test/support/memory-transport.ts';
import { temporaryDirectory } from '../../test/support/program.ts';
import { until, within } from '../../test/support/wait.ts';
import { PosternError } from '../errors/error.ts';
import { AddressLimiter } from '../net/limits/address-limiter.ts';
import { RegistrationClient } from '../rpc/registration-client.ts';
import { createTag, createTunnelId } from '../schema/api/id.ts';
import type { Store } from '../store/contract/store.ts';
import { createSecretBox } from '../store/secret-box.ts';
import { openSqliteStore } from '../store/sqlite/thread/sqlite-store.ts';
import { silentLogger } from '../telemetry/logger.ts';
import type { ConfigurationAnswer } from '../wire/stream/configuration-request.ts';
import { ConfigurationSender } from './configuration-sender.ts';
import { ConnectorRegistry, type RegisteredConnection } from './connector-registry.ts';
import { followStore } from './follow-store.ts';
import { serveConnector, unregisteredLimits } from './serve-connector.ts';

/** A connector in memory: what it was sent, and what it answers. */
interface PlayedConnector {
  readonly received: number[];
  answer: (version: number) => Promise<ConfigurationAnswer>;
  /** Settles with what the edge said of the configuration's owner. */
  register(): Promise<boolean>;
}

class World {
  readonly path: string;
  readonly late: LateStore;
  readonly store: Store;
  readonly registry = new ConnectorRegistry();
  readonly accountTag = createTag();
  readonly id = createTunnelId();
  readonly #secret = randomBytes(32);

  private constructor(path: string, inner: Store) {
    this.path = path;
    this.late = new LateStore(inner);
    this.store = this.late.store;
  }

  static async open(t: TestContext): Promise<World> {
    const path = join(await temporaryDirectory(t), 'edge.db');
    const world = new World(path, await openSqliteStore({ path, pollIntervalMs: 20 }));
    const { accountTag, id, store } = world;
    t.after(() => store.close());
    const network = { id: crypto.randomUUID(), accountTag, name: 'default', comment: '', isDefault: true };
    await store.accounts.create(
      { tag: accountTag, name: 'a', createdAtMs: 1 },
      { id: createTag(), accountTag, domain: 'example.com' },
      { ...network, createdAtMs: 1, deletedAtMs: undefined },
    );
    const secret = createSecretBox(randomBytes(32)).seal(id, world.#secret);
    await store.tunnels.create({ id, accountTag, name: 'web', secret, createdAtMs: 1 });
    t.after(followStore(store, world.registry, silentLogger()));
    return world;
  }

  put(config = '{}', store = this.store): Promise<unknown> {
    return store.tunnels.setConfiguration(this.accountTag, this.id, config, 1);
  }

  /** The connections that are registered now. */
  get registered(): readonly RegisteredConnection[] {
    return this.registry.connectionsOf(this.id);
  }

  async dial(t: TestContext): Promise<PlayedConnector> {
    const pair = openMemoryPair();
    t.after(() => pair.edge.abort(new PosternError('connection.closed', 'The test is over.')));
    const received: number[] = [];
    const client = new RegistrationClient(await pair.connector.control, { timeoutMs: 20_000 });
    const played: PlayedConnector = {
      received,
      answer: async version => ({ version, error: undefined }),
      register: async () => {
        const claim = { ...this, secret: this.#secret, host: '' };
        return (await client.registerConnection(claimFor(claim))).tunnelIsRemotelyManaged;
      },
    };
    pair.connector.serve({
      stream: incoming => incoming.reset(),
      configure: ({ version }) => {
        received.push(version);
        return played.answer(version);
      },
    });
    serveConnector(pair.edge, {
      store: this.store,
      registry: this.registry,
      logger: silentLogger(),
      location: 'tst01',
      isDraining: () => false,
      drainTimeoutMs: 200,
      unregistered: new AddressLimiter(unregisteredLimits),
    });
    return played;
  }
}

describe('a configuration', () => {
  it('is sent to a connector that registers, and every new one after that', async t => {
    const world = await World.open(t);
    const local = await world.dial(t);
    assert.equal(await local.register(), false);
    await world.put();
    await until('the first', () => local.received.length === 1);
    const managed = await world.dial(t);
    assert.equal(await managed.register(), true);
    await until('the first', () => managed.received.length === 1);
    await world.put();
    await until('the second', () => local.received.length === 2 && managed.received.length === 2);
    assert.deepEqual(
      [local.received, managed.received],
      [
        [1, 2],
        [1, 2],
      ],
    );
    await until('the answers', () => world.registered.every(one => one.configurations.answer?.version === 2));
  });

  it('that comes while a connector registers is not missed', async t => {
    const world = await World.open(t);
    const connector = await world.dial(t);
    const reads = world.late.hold('tunnels', 'configuration');
    const registering = connector.register();
    await within('the read of the configuration', reads.asked);
    const told = new Promise<void>(resolve => {
      world.store.changes.subscribe(change => {
        if (change.kind === 'configuration') resolve();
      });
    });
    await world.put();
    await within('the news', told);
    assert.deepEqual(connector.received, [], 'before it is registered it takes none');
    reads.release();
    assert.equal(await registering, true);
    await until('the configuration', () => connector.received.length === 1);
  });

  it('that another edge wrote arrives too', async t => {
    const world = await World.open(t);
    const connector = await world.dial(t);
    await connector.register();
    const other = await openSqliteStore({ path: world.path });
    t.after(() => other.close());
    await world.put('{}', other);
    await until('the configuration', () => connector.received.length === 1);
    await other.tunnels.remove(world.accountTag, world.id, { atMs: 1, cascade: true });
    await until('the end of the connection', () => world.registry.all().length === 0);
  });

  it('that a connector refuses is kept with the reason, and not sent again', async t => {
    const world = await World.open(t);
    const connector = await world.dial(t);
    connector.answer = async () => ({ version: -1, error: `no such service ${'x'.repeat(5_000)}` });
    await connector.register();
    await world.put();
    const answer = (): ConfigurationAnswer | undefined => world.registered[0]?.configurations.answer;
    await until('the answer', () => answer() !== undefined);
    assert.equal(answer()?.version, -1);
    assert.match(answer()?.error ?? '', /^no such service x+$/);
    assert.ok((answer()?.error?.length ?? 0) <= 500);
    // All tunnels are looked at, this one too; the next configuration shows that nothing was sent for it.
    world.store.changes.publish({ kind: 'reset' });
    await world.store.tunnels.find(world.id);
    await world.put();
    await until('the second', () => connector.received.length === 2);
    assert.deepEqual(connector.received, [1, 2]);
  });

  it('gives way to newer ones while a connector applies the one before', async t => {
    const world = await World.open(t);
    const connector = await world.dial(t);
    const applied = Promise.withResolvers<void>();
    connector.answer = async version => {
      await applied.promise;
      return { version, error: undefined };
    };
    await connector.register();
    for (let version = 1; version <= 4; version += 1) await world.put();
    await until('all are known', () => world.registered[0]?.configurations.offered === 4);
    assert.deepEqual(connector.received, [1]);
    applied.resolve();
    await until('the newest', () => connector.received.length === 2);
    assert.deepEqual(connector.received, [1, 4]);
  });

  it('is sent again when the connector did not answer', async t => {
    const pair = openMemoryPair();
    t.after(() => pair.edge.abort(new PosternError('connection.closed', 'The test is over.')));
    let asked = 0;
    pair.connector.serve({
      stream: incoming => incoming.reset(),
      configure: async ({ version }) => {
        asked += 1;
        if (asked < 3) throw new PosternError('stream.reset', 'not now');
        return { version, error: undefined };
      },
    });
    const sender = new ConfigurationSender(pair.edge, silentLogger(), 10);
    sender.offer({ tunnelId: createTunnelId(), version: 5, config: '{}', updatedAtMs: 1 });
    sender.start();
    await until('the answer', () => sender.answer?.version === 5);
    assert.equal(asked, 3);
  });
});
