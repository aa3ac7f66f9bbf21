// Who the API shows as connected: since when, what was lost a moment ago, and what is connected to another edge on the same
// state directory.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { claimFor, dialBare, registerBare } from '../../test/support/bare-connector.ts';
import { EdgeWorld, type KnownTunnel } from '../../test/support/edge-world.ts';
import { until } from '../../test/support/wait.ts';
import { type ApiClient, createApiClient } from '../api/client.ts';
import { parseOriginCert } from '../credentials/origin-cert.ts';
import { PosternError } from '../errors/error.ts';
import type { ApiActiveClient } from '../schema/api/tunnel.ts';

function apiOf(world: EdgeWorld): ApiClient {
  const { apiToken } = parseOriginCert(readFileSync(join(world.stateDir, 'cert.pem'), 'utf8'));
  return createApiClient({ apiUrl: world.edge.apiUrl, apiToken, userAgent: 'test' });
}

function clientsOf(world: EdgeWorld, tunnel: KnownTunnel): Promise<ApiActiveClient[]> {
  return apiOf(world).listConnections({ params: { account: tunnel.accountTag, id: tunnel.id } });
}

/** Registers connection `connIndex` of one connector; the result ends it as a broken network does. */
async function register(
  t: TestContext,
  world: EdgeWorld,
  tunnel: KnownTunnel,
  clientId: string,
  connIndex: number,
): Promise<() => void> {
  const { connection, client } = await dialBare(t, world);
  await client.registerConnection(claimFor(tunnel, { clientId, connIndex }));
  return () => connection.abort(new PosternError('connection.lost', 'The test cut it.'));
}

describe('the connectors that the API shows', () => {
  it('are there since their first connection, also when that one was replaced', async t => {
    const world = await EdgeWorld.open(t);
    const tunnel = await world.makeTunnel();
    const clientId = randomUUID();
    const cutFirst = await register(t, world, tunnel, clientId, 0);
    const [first] = await clientsOf(world, tunnel);
    await until('a later millisecond', () => Date.now() > Date.parse(first?.run_at ?? ''));
    const cutSecond = await register(t, world, tunnel, clientId, 1);
    cutFirst();
    await until('the loss', () => world.edge.registry.all().length === 1);
    assert.equal((await clientsOf(world, tunnel))[0]?.run_at, first?.run_at);
    cutSecond();
    await until('the loss', () => world.edge.registry.all().length === 0);
    await register(t, world, tunnel, clientId, 0);
    const [again] = await clientsOf(world, tunnel);
    assert.ok(Date.parse(again?.run_at ?? '') > Date.parse(first?.run_at ?? ''));
  });

  it('keep a connection that broke off as one that is expected back, until it is', async t => {
    const world = await EdgeWorld.open(t);
    const tunnel = await world.makeTunnel();
    const clientId = randomUUID();
    const pending = async (): Promise<(readonly boolean[])[]> =>
      (await clientsOf(world, tunnel)).map(client => client.conns.map(one => one.is_pending_reconnect));
    const cut = await register(t, world, tunnel, clientId, 0);
    assert.deepEqual(await pending(), [[false]]);
    cut();
    await until('the loss', () => world.edge.registry.all().length === 0);
    assert.deepEqual(await pending(), [[true]]);
    await register(t, world, tunnel, clientId, 0);
    assert.deepEqual(await pending(), [[false]]);
  });

  it('do not keep one that unregistered, and a lost one keeps no tunnel from being deleted', async t => {
    const world = await EdgeWorld.open(t);
    const tunnel = await world.makeTunnel();
    const { client } = await registerBare(t, world, tunnel);
    await client.unregisterConnection(5_000);
    await until('the end', () => world.edge.registry.all().length === 0);
    assert.deepEqual(await clientsOf(world, tunnel), []);
    const cut = await register(t, world, tunnel, randomUUID(), 0);
    cut();
    await until('the loss', () => world.edge.registry.all().length === 0);
    await apiOf(world).deleteTunnel({ params: { account: tunnel.accountTag, id: tunnel.id }, query: {} });
  });

  it('are those of every edge on the state directory, so that none of their tunnels is deleted', async t => {
    const world = await EdgeWorld.open(t);
    const other = await EdgeWorld.open(t, { stateDir: world.stateDir });
    const tunnel = await world.makeTunnel();
    const clientId = randomUUID();
    await register(t, world, tunnel, clientId, 0);
    await until('word at the other edge', async () => (await clientsOf(other, tunnel)).length === 1);
    const params = { account: tunnel.accountTag, id: tunnel.id };
    await assert.rejects(apiOf(other).deleteTunnel({ params, query: {} }), /active connections/);
    const cut = await register(t, other, tunnel, clientId, 1);
    const [both, ...more] = await clientsOf(other, tunnel);
    assert.equal(both?.conns.length, 2);
    assert.equal(more.length, 0);
    cut();
    await world.edge.stop();
    await until('word of the end', async () =>
      (await clientsOf(other, tunnel)).every(client => client.conns.every(one => one.is_pending_reconnect)),
    );
    await apiOf(other).deleteTunnel({ params, query: {} });
  });

  it('tell how their tunnel stands: never run, whole, with a loss, gone, and since when', async t => {
    const world = await EdgeWorld.open(t);
    const tunnel = await world.makeTunnel();
    const standing = async () => {
      const shown = await apiOf(world).getTunnel({ params: { account: tunnel.accountTag, id: tunnel.id } });
      return { status: shown.status, active: shown.conns_active_at, inactive: shown.conns_inactive_at };
    };
    const count = (wanted: number) => until(`${wanted} connections`, () => world.edge.registry.all().length === wanted);
    assert.deepEqual(await standing(), { status: 'inactive', active: null, inactive: null });
    const clientId = randomUUID();
    const cutFirst = await register(t, world, tunnel, clientId, 0);
    const whole = await standing();
    assert.ok(whole.status === 'healthy' && whole.active && whole.inactive === null);
    await until('a later millisecond', () => Date.now() > Date.parse(whole.active ?? ''));
    // What comes and goes while changes are gathered is not in the store.
    await until('word in the store', async () => (await world.edge.store.presence.activity()).length === 1);
    const cutSecond = await register(t, world, tunnel, clientId, 1);
    const cutOther = await register(t, world, tunnel, randomUUID(), 0);
    cutFirst();
    await count(2);
    assert.deepEqual(await standing(), { ...whole, status: 'degraded' });
    await register(t, world, tunnel, clientId, 0).then(cut => cut());
    await count(2);
    cutSecond();
    await count(1);
    // The connector that came first is gone: the tunnel is connected since then all the same.
    assert.equal((await standing()).active, whole.active);
    cutOther();
    await count(0);
    const down = await standing();
    assert.ok(down.status === 'down' && down.active === null && down.inactive);
    await until('word in the store', async () => {
      const [activity] = await world.edge.store.presence.activity();
      return activity?.inactiveAtMs !== undefined;
    });
    await register(t, world, tunnel, clientId, 0);
    const again = await standing();
    // Its other connection is expected back.
    assert.ok(again.status === 'degraded' && Date.parse(again.active ?? '') > Date.parse(whole.active ?? ''));
  });
});
