import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { liveClient } from '../../../test/support/live-tunnels.ts';
import type { LiveConnections } from '../../carriers/live-connections.ts';
import { ensureLocalAccounts } from '../../control-plane/accounts.ts';
import { createTunnelId, type TunnelId } from '../../schema/api/id.ts';
import { authenticateTunnel } from '../../store/authenticate-tunnel.ts';
import type { Store } from '../../store/contract/store.ts';
import { createSecretBox } from '../../store/secret-box.ts';
import { openSqliteStore } from '../../store/sqlite/thread/sqlite-store.ts';
import { silentLogger } from '../../telemetry/logger.ts';
import { createQuickName } from './quick-name.ts';
import {
  abandonedAfterMs,
  maxPerAddress,
  maxPerNetwork,
  type QuickTunnels,
  startQuickTunnels,
} from './quick-tunnels.ts';
import { adjectives, animals, things } from './words.ts';

describe('quick names', () => {
  it('have three words and a number, from lists that share none', () => {
    for (const list of [adjectives, animals, things]) {
      assert.ok(list.length >= 200);
      for (const word of list) assert.match(word, /^[a-z]{2,10}$/);
    }
    const all = [...adjectives, ...animals, ...things];
    assert.equal(new Set(all).size, all.length);
    for (let count = 0; count < 100; count += 1) assert.match(createQuickName(), /^[a-z]+-[a-z]+-[a-z]+-[1-9][0-9]$/);
    assert.equal(
      createQuickName(() => 0),
      `${adjectives[0]}-${animals[0]}-${things[0]}-10`,
    );
    assert.equal(
      createQuickName(count => count - 1),
      `${adjectives.at(-1)}-${animals.at(-1)}-${things.at(-1)}-99`,
    );
  });
});

describe('quick tunnels', () => {
  let directory: string;
  let store: Store;
  let quick: QuickTunnels;
  let nowMs = 1_000_000;
  const connected = new Set<TunnelId>();
  const disconnected: TunnelId[] = [];
  const live: LiveConnections = {
    list: async id => (connected.has(id) ? [liveClient()] : []),
    states: async () => new Map(),
    tunnels: async () => connected,
    disconnect: id => disconnected.push(id),
  };
  const secrets = createSecretBox(randomBytes(32));
  const start = async (): Promise<void> => {
    const { quick: account } = await ensureLocalAccounts(store, {
      stateDir: directory,
      domain: 'localhost',
      apiUrl: 'http://a',
    });
    quick = await startQuickTunnels({
      store,
      secrets,
      live,
      accountTag: account.tag,
      domain: 'localhost',
      logger: silentLogger(),
      urlOf: hostname => `http://${hostname}:8080`,
      now: () => nowMs,
      elapsedMs: () => nowMs,
    });
  };
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'postern-quick-'));
    store = await openSqliteStore({ path: join(directory, 'edge.db') });
    connected.clear();
    disconnected.length = 0;
    await start();
  });
  afterEach(async () => {
    quick.close();
    await store.close();
    rmSync(directory, { recursive: true });
  });

  it('are reachable by name and registered with their secret', async () => {
    const made = await quick.create('192.0.2.1');
    assert.equal(made.hostname, `${made.name}.localhost`);
    assert.equal(made.url, `http://${made.hostname}:8080`);
    assert.equal((await store.hostnames.get(made.hostname))?.tunnelId, made.tunnelId);
    const { tunnelId, accountTag, secret } = made;
    assert.equal(await authenticateTunnel(store, { tunnelId, accountTag, secret }), 'accepted');
  });

  it('go five minutes after their last connection, with their routes', async () => {
    const { tunnelId, hostname } = await quick.create('192.0.2.1');
    connected.add(tunnelId);
    nowMs += 10 * abandonedAfterMs;
    assert.equal(await quick.sweep(), 0);
    connected.delete(tunnelId);
    nowMs += abandonedAfterMs - 1;
    assert.equal(await quick.sweep(), 0);
    nowMs += 1;
    assert.equal(await quick.sweep(), 1);
    assert.equal(await store.tunnels.find(tunnelId), undefined);
    assert.equal(await store.hostnames.get(hostname), undefined);
    assert.deepEqual(disconnected, [tunnelId]);
    assert.equal(await quick.sweep(), 0);
  });

  it('that never connected go too', async () => {
    await quick.create('192.0.2.1');
    nowMs += abandonedAfterMs;
    assert.equal(await quick.sweep(), 1);
  });

  it('get their five minutes again after a restart of the edge, and then go', async () => {
    const { tunnelId } = await quick.create('192.0.2.1');
    quick.close();
    await store.close();
    nowMs += 3 * abandonedAfterMs;
    store = await openSqliteStore({ path: join(directory, 'edge.db') });
    await start();
    assert.equal(await quick.sweep(), 0);
    assert.notEqual(await store.tunnels.find(tunnelId), undefined);
    nowMs += abandonedAfterMs;
    assert.equal(await quick.sweep(), 1);
    assert.equal(await store.tunnels.find(tunnelId), undefined);
  });

  it('of another edge on the same store are looked after as well', async () => {
    const other = await openSqliteStore({ path: join(directory, 'edge.db') });
    const reset = new Promise<void>(resolve => {
      store.changes.subscribe(change => {
        if (change.kind === 'reset') resolve();
      });
    });
    const accountTag = (await other.accounts.byName('quick'))?.tag ?? '';
    using second = await startQuickTunnels({
      store: other,
      secrets,
      live,
      accountTag,
      domain: 'localhost',
      logger: silentLogger(),
      urlOf: hostname => hostname,
      now: () => nowMs,
      elapsedMs: () => nowMs,
    });
    await second.create('192.0.2.1');
    await reset;
    await other.close();
    await quick.sweep();
    nowMs += abandonedAfterMs;
    assert.equal(await quick.sweep(), 1);
  });

  it('are limited in rate and in number by address', async () => {
    const made = await Promise.all(Array.from({ length: 10 }, () => quick.create('192.0.2.1')));
    await assert.rejects(quick.create('192.0.2.1'), { code: 'api.rate-limited', message: /wait a minute/ });
    await quick.create('192.0.2.2');
    nowMs += 30_000;
    made.push(await quick.create('192.0.2.1'));
    await assert.rejects(quick.create('192.0.2.1'), { code: 'api.rate-limited' });
    for (const tunnel of made) connected.add(tunnel.tunnelId);
    while (made.length < maxPerAddress) {
      nowMs += 30_000;
      const tunnel = await quick.create('192.0.2.1');
      connected.add(tunnel.tunnelId);
      made.push(tunnel);
    }
    nowMs += 30_000;
    await assert.rejects(quick.create('192.0.2.1'), { code: 'api.rate-limited', message: /20 quick tunnels already/ });
    connected.clear();
    nowMs += abandonedAfterMs;
    assert.equal(await quick.sweep(), 21);
    await quick.create('192.0.2.1');
  });

  it('are limited in number by network, so that many addresses of one host find an end', async () => {
    let made = 0;
    const ask = async (at: number): Promise<void> => {
      nowMs += 30_000;
      await quick.create(`2001:db8:1:${at.toString(16)}::/64`);
      made += 1;
    };
    for (let at = 0; at < maxPerNetwork; at += 1) await ask(at);
    await assert.rejects(ask(maxPerNetwork), { code: 'api.rate-limited', message: /your network 200/ });
    await quick.create('2001:db8:2:1::/64');
    assert.equal(made, maxPerNetwork);
  });

  it('that nobody uses go in small steps, between which others get their turn', async () => {
    const { quick: account } = await ensureLocalAccounts(store, {
      stateDir: directory,
      domain: 'localhost',
      apiUrl: 'http://a',
    });
    const count = 500;
    for (let at = 0; at < count; at += 1) {
      const id = createTunnelId();
      const secret = secrets.seal(id, randomBytes(32));
      await store.quickTunnels.create(
        { id, accountTag: account.tag, name: `n${at}`, secret, createdAtMs: 1 },
        { tunnelId: id, hostname: `n${at}.localhost`, clientAddress: '192.0.2.1', createdAtMs: 1 },
      );
    }
    quick.close();
    await start();
    nowMs += abandonedAfterMs;
    let turns = 0;
    const turn = (): void => {
      turns += 1;
      next = setImmediate(turn);
    };
    let next = setImmediate(turn);
    assert.equal(await quick.sweep(), count);
    clearImmediate(next);
    assert.ok(turns >= 5, `${turns} turns`);
    assert.equal((await store.hostnames.list()).length, 0);
  });
});
