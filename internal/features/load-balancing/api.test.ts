// The API of load balancing: documents that are wrong, things of another account, what is in use, many writers at once.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { type BalancingWorld, openBalancingWorld } from '../../../test/support/balancing-world.ts';
import { createApiClient } from '../../api/client.ts';
import { createTag, createTunnelId } from '../../schema/api/id.ts';
import { createApiToken, digestApiToken } from '../../store/secret-box.ts';
import { maxRecords } from './documents.ts';

/** Another account of the edge with a zone, a tunnel and a routed name of its own. */
async function openOther({ world }: BalancingWorld) {
  const { store } = world.edge;
  const [tag, zone] = [createTag(), createTag()];
  const network = { id: randomUUID(), accountTag: tag, name: 'default', comment: '', isDefault: true };
  await store.accounts.create(
    { tag, name: 'other', createdAtMs: 0 },
    { id: zone, accountTag: tag, domain: 'other.test' },
    { ...network, createdAtMs: 0, deletedAtMs: undefined },
  );
  const token = createApiToken();
  await store.accounts.addToken({ digest: digestApiToken(token), accountTag: tag, label: '', createdAtMs: 0 });
  const client = createApiClient({ apiUrl: world.edge.apiUrl, apiToken: token, userAgent: 'test' });
  return { client, account: { account: tag }, zone: { zone } };
}

async function open(t: TestContext) {
  const world = await openBalancingWorld(t);
  const a = await world.addOrigin('a');
  return { ...world, a };
}

const host = 'lb.example.test';

describe('the API of load balancing', () => {
  it('refuses what is wrong, and says what would be right', async t => {
    const { a, account, client, zone } = await open(t);
    const pool = (body: object) => client.createPool({ params: account, body: { name: 'p', ...body } });
    const origin = (more: object) => pool({ origins: [{ name: 'm', address: a.tunnel.id, ...more }] });
    const monitor = (body: object) => client.createMonitor({ params: account, body });
    const good = await client.createPool({ params: account, body: { name: 'good' } });
    const balancer = (body: object) =>
      client.createBalancer({ params: zone, body: { name: host, fallback_pool: good.id, ...body } });
    const cases: readonly (readonly [() => Promise<unknown>, RegExp])[] = [
      [() => pool({ name: 'a b' }), /must be of letters/],
      [() => pool({ name: 'x'.repeat(256) }), /name/],
      [() => pool({ origin_steering: { policy: 'best' } }), /origin_steering\.policy/],
      [() => pool({ load_shedding: { default_percent: 1 } }), /has no load shedding/],
      [() => pool({ monitor: createTag() }), /Monitor not found/],
      [() => pool({ origins: new Array(65).fill({ name: 'm', address: a.tunnel.id }) }), /origins/],
      [() => pool({ origins: [1, 2].map(() => ({ name: 'm', address: a.tunnel.id })) }), /the same name/],
      [() => origin({ weight: -1 }), /weight/],
      [() => origin({ weight: 2 }), /weight/],
      [() => origin({ port: 70_000 }), /port/],
      [() => origin({ address: 'x y' }), /is no address/],
      [() => origin({ address: '169.254.169.254.nip.io' }), /No route of this account/],
      [() => origin({ address: 'localhost' }), /No route of this account/],
      [() => origin({ address: '0x7f000001' }), /is no address/],
      [() => origin({ address: createTunnelId() }), /Tunnel not found/],
      [() => origin({ virtual_network_id: randomUUID(), address: '10.0.0.1' }), /Virtual network not found/],
      [() => origin({ header: { Host: ['a\r\nX: y'] } }), /must be a host name/],
      [() => origin({ header: { 'Cf-Connecting-Ip': ['1.2.3.4'] } }), /Cf-Connecting-Ip/],
      [() => monitor({ type: 'icmp_ping' }), /type/],
      [() => monitor({ path: '/a\r\nX: y' }), /must begin with \//],
      [() => monitor({ method: 'CONNECT' }), /method/],
      [() => monitor({ interval: 0 }), /interval/],
      [() => monitor({ follow_redirects: true }), /has no redirects/],
      [() => monitor({ expected_codes: '2xx,'.repeat(100_000) }), /expected_codes/],
      [() => balancer({ fallback_pool: createTag() }), /Pool not found/],
      [() => balancer({ default_pools: [createTag()] }), /Pool not found/],
      [() => balancer({ steering_policy: 'geo' }), /steering_policy/],
      [() => balancer({ region_pools: { WEU: [good.id] } }), /has no regions/],
      [() => balancer({ proxied: false }), /must be true/],
      [() => balancer({ session_affinity: 'header' }), /needs session_affinity_attributes\.headers/],
      [() => balancer({ session_affinity_ttl: 1 }), /session_affinity_ttl/],
      [() => balancer({ name: 'a/b' }), /not a valid host name/],
      [() => balancer({ name: '' }), /name/],
    ];
    for (const [index, [call, why]] of cases.entries())
      await assert.rejects(call(), { message: why }, `case ${index}: ${why}`);
    assert.deepEqual(
      (await client.listPools({ params: account })).map(one => one.name),
      ['good'],
    );
    assert.deepEqual(await client.listMonitors({ params: account }), []);
    assert.deepEqual(await client.listBalancers({ params: zone }), []);
    // Unknown, of the right form, and of no form at all.
    for (const id of [createTag(), 'x', '%2e%2e'])
      await assert.rejects(client.getPool({ params: { ...account, id } }), { code: 'api.not-found' });
  });

  it('keeps accounts apart: neither pools, monitors, tunnels, networks, names nor requests cross', async t => {
    const world = await open(t);
    const { a, account, client } = world;
    const other = await openOther(world);
    const monitor = await client.createMonitor({ params: account, body: {} });
    const pool = await world.addPool('web', [a], { monitor: monitor.id });
    await world.addBalancer(host, [pool]);
    const [network] = await client.listNetworks({ params: account });
    const create = (body: object) => other.client.createPool({ params: other.account, body: { name: 'p', ...body } });
    const member = (more: object) => create({ origins: [{ name: 'm', address: '10.0.0.1', ...more }] });
    await assert.rejects(create({ monitor: monitor.id }), { code: 'api.not-found' });
    await assert.rejects(member({ address: a.tunnel.id }), { code: 'api.not-found' });
    await assert.rejects(member({ address: a.tunnel.host }), { code: 'api.not-found' });
    await assert.rejects(member({ address: host }), { code: 'api.not-found' });
    await assert.rejects(member({ virtual_network_id: network?.id }), { code: 'api.not-found' });
    const own = await create({});
    const balance = (body: object) =>
      other.client.createBalancer({ params: other.zone, body: { name: 'x', fallback_pool: own.id, ...body } });
    await assert.rejects(balance({ default_pools: [pool.id] }), { code: 'api.not-found' });
    await assert.rejects(balance({ fallback_pool: pool.id }), { code: 'api.not-found' });
    // A name of another zone is one below the own.
    assert.equal((await balance({ name: host })).name, `${host}.other.test`);
    for (const id of [pool.id, monitor.id, own.id]) {
      await assert.rejects(other.client.getPoolHealth({ params: { ...account, id } }), { code: 'api.unauthorized' });
      await assert.rejects(client.deletePool({ params: { ...other.account, id } }), { code: 'api.unauthorized' });
    }
    await assert.rejects(other.client.patchPool({ params: { ...other.account, id: pool.id }, body: { name: 'y' } }), {
      code: 'api.not-found',
    });
    // Even a record that names another's tunnel reaches nothing: the store is not the last line.
    const { store } = world.world.edge;
    const forged = { name: 'p2', origins: [{ name: 'm', address: `${a.tunnel.id}.cfargotunnel.com` }] };
    const at = { accountTag: other.account.account, version: 1, createdAtMs: 0, modifiedAtMs: 0 };
    const forgedId = createTag();
    await store.balancing.create({
      ...{
        ...at,
        id: forgedId,
        kind: 'pool',
        zoneId: undefined,
        name: 'p2',
        document: JSON.stringify(forged),
        uses: [],
      },
    });
    await balance({ name: 'stolen', default_pools: [forgedId], fallback_pool: forgedId });
    assert.equal((await world.visit('stolen.other.test')).status, 502);
    assert.deepEqual(a.seen, []);
    assert.equal((await world.visit(host)).body, 'a');
  });

  it('deletes nothing that is used', async t => {
    const world = await open(t);
    const { account, client, zone } = world;
    const monitor = await client.createMonitor({ params: account, body: {} });
    const pool = await world.addPool('web', [world.a], { monitor: monitor.id });
    const balancer = await world.addBalancer(host, [pool]);
    const removeMonitor = () => client.deleteMonitor({ params: { ...account, id: monitor.id } });
    const removePool = () => client.deletePool({ params: { ...account, id: pool.id } });
    await assert.rejects(removeMonitor(), { message: /Monitor is used by web/ });
    await assert.rejects(removePool(), { message: /Pool is used by lb\.example\.test/ });
    await client.deleteBalancer({ params: { ...zone, id: balancer.id } });
    assert.deepEqual(await removePool(), { id: pool.id });
    await removeMonitor();
    assert.equal((await world.visit(host)).status, 404);
  });

  it('puts every tunnel into the pool when many commands run at once', async t => {
    const { account, client, world, zone } = await open(t);
    const tunnels = [];
    for (let index = 0; index < 6; index += 1) tunnels.push(await world.makeTunnel(`t${index}.example.test`));
    const body = { type: 'lb', lb_name: 'many', lb_pool: 'web' } as const;
    await Promise.all(tunnels.map(({ id }) => client.addRoute({ params: { ...zone, id }, body })));
    const [pool] = await client.listPools({ params: account });
    assert.deepEqual(pool?.origins.map(one => one.name).toSorted(), tunnels.map(one => one.host).toSorted());
    assert.equal((await client.listBalancers({ params: zone })).length, 1);
  });

  it('bounds what an account may have', async t => {
    const { account, client, world } = await open(t);
    const accountTag = account.account;
    const at = { accountTag, zoneId: undefined, uses: [], version: 1, createdAtMs: 0, modifiedAtMs: 0 };
    for (let index = 0; index < maxRecords; index += 1) {
      const name = `m${index}`;
      await world.edge.store.balancing.create({ ...at, id: createTag(), kind: 'monitor', name, document: '{}' });
    }
    await assert.rejects(client.createMonitor({ params: account, body: {} }), { message: /at most 500/ });
    assert.equal((await client.listMonitors({ params: account })).length, maxRecords);
  });
});
