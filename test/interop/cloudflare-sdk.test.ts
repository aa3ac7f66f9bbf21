// The public SDK of the v4 API (npm: cloudflare) does the whole life of what an edge has, against a running one.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import Cloudflare from 'cloudflare';
import { countOf } from '../support/tunnel-world.ts';
import { until } from '../support/wait.ts';
import { openV4World } from './v4-world.ts';

async function openSdk(t: TestContext) {
  const world = await openV4World(t);
  const client = new Cloudflare({ apiToken: world.cert.apiToken, baseURL: world.apiUrl, maxRetries: 0 });
  const { cloudflared: tunnels } = client.zeroTrust.tunnels;
  return { ...world, client, tunnels, of: { account_id: world.cert.accountId }, zone_id: world.cert.zoneId };
}

async function all<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of pages) items.push(item);
  return items;
}

/** Settles when the call is refused; gives status and code. */
async function refused(call: PromiseLike<unknown>): Promise<[number | undefined, number | undefined]> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof Cloudflare.APIError, String(error));
    return [error.status, error.errors[0]?.code];
  }
  return assert.fail('the call was served');
}

describe('the SDK of the v4 API', () => {
  it('makes a tunnel, configures and names it, sees its connectors, gives it another secret, and deletes it', async t => {
    const { client, connect, of, origin, tunnels, visit, zone_id } = await openSdk(t);
    const made = await tunnels.create({ ...of, name: 'blog', config_src: 'cloudflare' });
    const id = made.id ?? assert.fail();
    assert.deepEqual(
      [made.status, made.tun_type, made.config_src, made.remote_config, made.conns_active_at, made.deleted_at],
      ['inactive', 'cfd_tunnel', 'cloudflare', true, null, null],
    );
    assert.equal((await tunnels.configurations.get(id, of)).source, 'cloudflare');
    const ingress = [{ hostname: 'blog.example.test', service: origin }, { service: 'http_status:404' }];
    const put = await tunnels.configurations.update(id, { ...of, config: { ingress: ingress as never } });
    assert.equal(put.version, 1);
    assert.equal((await tunnels.configurations.get(id, of)).config?.ingress?.length, 2);

    const record = await client.dns.records.create({
      ...{ zone_id, type: 'CNAME', name: 'blog', content: `${id}.cfargotunnel.com` },
      ...{ proxied: true, ttl: 1, comment: 'the blog' },
    });
    assert.equal(record.name, 'blog.example.test');
    const connector = connect(await tunnels.token.get(id, of), 2);
    await until('both connections', () => countOf(connector, /Registered tunnel connection/g) === 2);
    const running = await tunnels.get(id, of);
    assert.equal(running.connections?.length, 2);
    assert.equal(running.status, 'healthy');
    assert.ok(Date.parse(running.conns_active_at ?? '') > 0 && running.conns_inactive_at === null);
    await until('the configuration', async () => (await visit('blog.example.test')) === '200 served /path');
    const [seen] = await all(tunnels.connections.get(id, of));
    assert.match(`${seen?.version} ${seen?.arch}`, /^\d+\.\d+\.\d+\S* \w+_\w+$/);
    assert.equal(seen?.config_version, 1);
    assert.deepEqual(
      seen?.conns?.map(one => [one.client_id, one.client_version, one.origin_ip]),
      [
        [seen.id, seen.version, '127.0.0.1'],
        [seen.id, seen.version, '127.0.0.1'],
      ],
    );
    assert.deepEqual(await tunnels.connectors.get(seen?.id ?? '', { ...of, tunnel_id: id }), seen);
    const active = await all(tunnels.list({ ...of, status: 'healthy', was_active_at: new Date().toISOString() }));
    assert.deepEqual(
      active.map(one => one.id),
      [id],
    );
    assert.deepEqual(await refused(tunnels.delete(id, of)), [400, 1022]);

    const edited = await tunnels.edit(id, {
      ...{ ...of, name: 'journal' },
      tunnel_secret: Buffer.alloc(32, 1).toString('base64'),
    });
    assert.equal(edited.name, 'journal');
    assert.equal((await tunnels.get(id, of)).status, 'healthy', 'a new secret cuts nobody');
    await tunnels.connections.delete(id, of);
    await until('the refusal of the old secret', () => /[Uu]nauthorized|refused/.test(connector.log()));
    const down = await tunnels.get(id, of);
    assert.equal(down.status, 'down');
    assert.ok(Date.parse(down.conns_inactive_at ?? '') >= Date.parse(running.conns_active_at ?? ''));
    assert.equal(down.conns_active_at, null);
    await tunnels.delete(id, of);
    assert.deepEqual(await all(tunnels.list({ ...of, is_deleted: false })), []);
    assert.ok((await tunnels.get(id, of)).deleted_at);
    assert.deepEqual(await all(client.dns.records.list({ zone_id })), [], 'its names went with it');
  });

  it('lists page by page, and by name', async t => {
    const { of, tunnels } = await openSdk(t);
    for (const name of ['web-a', 'web-b', 'web-c', 'db', 'cache']) await tunnels.create({ ...of, name });
    assert.equal((await all(tunnels.list({ ...of, per_page: 2 }))).length, 5);
    const names = async (query: object) => (await all(tunnels.list({ ...of, ...query }))).map(one => one.name).sort();
    assert.deepEqual(await names({ include_prefix: 'web-', per_page: 2 }), ['web-a', 'web-b', 'web-c']);
    assert.deepEqual(await names({ exclude_prefix: 'web-' }), ['cache', 'db']);
    assert.deepEqual(await names({ status: 'inactive', per_page: 2 }), ['cache', 'db', 'web-a', 'web-b', 'web-c']);
    assert.deepEqual(await names({ existed_at: '2020-01-01T00:00:00Z' }), []);
    assert.deepEqual(await refused(tunnels.create({ ...of, name: 'db' })), [409, 1013]);
    assert.deepEqual(await refused(tunnels.get(randomUUID(), of)), [404, 1002]);
    assert.deepEqual(await refused(tunnels.list({ ...of, was_active_at: 'yesterday' })), [400, 1001]);
  });

  it('keeps DNS records: filters, new names, wildcards', async t => {
    const { cert, client, of, tunnels, zone_id } = await openSdk(t);
    const [one, two] = await Promise.all(['one', 'two'].map(name => tunnels.create({ ...of, name })));
    const { records } = client.dns;
    const add = (name: string, id = one?.id) =>
      records.create({ zone_id, type: 'CNAME', name, content: `${id}.cfargotunnel.com`, ttl: 1 });
    const [zone] = await all(client.zones.list({ name: 'example.test' }));
    assert.deepEqual([zone?.id, zone?.account.id, zone?.status], [zone_id, cert.accountId, 'active']);
    assert.equal((await client.zones.get({ zone_id })).name, 'example.test');
    assert.deepEqual(
      (await all(client.accounts.list())).map(account => account.id),
      [cert.accountId],
    );
    const app = await add('app.example.test');
    await add('*.apps', two?.id);
    assert.deepEqual(await refused(add('app')), [400, 81_053]);
    const names = async (query: object) => (await all(records.list({ zone_id, ...query }))).map(record => record.name);
    assert.deepEqual(await names({ per_page: 1 }), ['*.apps.example.test', 'app.example.test']);
    assert.deepEqual(await names({ name: { exact: 'app.example.test' } }), ['app.example.test']);
    assert.deepEqual(await names({ content: { startswith: two?.id ?? '' }, type: 'CNAME' }), ['*.apps.example.test']);
    assert.deepEqual(await names({ type: 'A' }), []);
    const dnsRecordID = app.id;
    const edited = await records.edit(dnsRecordID, {
      ...{ zone_id, type: 'CNAME', name: 'www', ttl: 1 },
      content: `${two?.id}.cfargotunnel.com`,
    });
    assert.deepEqual([edited.id, edited.name], [app.id, 'www.example.test']);
    const whole = { zone_id, type: 'CNAME', name: 'www', ttl: 1, content: `${one?.id}.cfargotunnel.com` } as const;
    await records.update(dnsRecordID, { ...whole, comment: 'replaced' });
    assert.equal((await records.get(dnsRecordID, { zone_id })).comment, 'replaced');
    const elsewhere = records.create({ zone_id, type: 'A', name: 'x', content: '192.0.2.1', ttl: 1 });
    assert.deepEqual(await refused(elsewhere), [400, 1001]);
    assert.deepEqual(await refused(add('x', randomUUID())), [404, 1002]);
    await records.delete(dnsRecordID, { zone_id });
    assert.deepEqual(await refused(records.get(dnsRecordID, { zone_id })), [404, 81_044]);
  });

  it('keeps private networks: routes by id, prefix and host name, and virtual networks', async t => {
    const { client, of, tunnels } = await openSdk(t);
    const tunnel_id = (await tunnels.create({ ...of, name: 'office' })).id ?? assert.fail();
    const { hostnameRoutes, routes, virtualNetworks } = client.zeroTrust.networks;
    const network = await virtualNetworks.create({ ...of, name: 'lab', comment: 'the lab' });
    const virtual_network_id = network.id;
    const route = await routes.create({ ...of, network: '10.1.0.0/16', tunnel_id, virtual_network_id, comment: 'c' });
    const id = route.id ?? assert.fail();
    assert.equal((await routes.get(id, of)).network, '10.1.0.0/16');
    await routes.edit(id, { ...of, network: '10.2.0.0/16', comment: 'moved' });
    const [listed] = await all(routes.list({ ...of, network_superset: '10.2.3.4/32', tun_types: ['cfd_tunnel'] }));
    assert.deepEqual(
      [listed?.network, listed?.tunnel_name, listed?.virtual_network_name, listed?.comment],
      ['10.2.0.0/16', 'office', 'lab', 'moved'],
    );
    assert.equal((await routes.ips.get('10.2.3.4', { ...of, virtual_network_id })).id, id);
    assert.equal(await routes.ips.get('10.2.3.4', of), null);
    const prefix = 'fd00:1::/64';
    await routes.networks.create(prefix, { ...of, tunnel_id, virtual_network_id });
    assert.deepEqual(
      await refused(routes.networks.create(prefix, { ...of, tunnel_id, virtual_network_id })),
      [400, 1014],
    );
    await routes.networks.delete(prefix, { ...of, virtual_network_id });
    assert.deepEqual(await refused(routes.networks.delete(prefix, { ...of, virtual_network_id })), [404, 1002]);
    const named = await hostnameRoutes.create({ ...of, hostname: 'db.lan', tunnel_id, comment: 'c' });
    const hostnameRouteID = named.id ?? assert.fail();
    assert.equal((await hostnameRoutes.edit(hostnameRouteID, { ...of, hostname: 'db2.lan' })).hostname, 'db2.lan');
    assert.equal((await hostnameRoutes.get(hostnameRouteID, of)).tunnel_name, 'office');
    assert.equal((await all(hostnameRoutes.list({ ...of, hostname: 'DB2' }))).length, 1);
    await hostnameRoutes.delete(hostnameRouteID, of);
    assert.deepEqual(await refused(virtualNetworks.delete(virtual_network_id, of)), [400, 1030]);
    await routes.delete(id, of);
    await virtualNetworks.edit(virtual_network_id, { ...of, name: 'shop' });
    assert.equal((await virtualNetworks.get(virtual_network_id, of)).name, 'shop');
    await virtualNetworks.delete(virtual_network_id, of);
    assert.deepEqual(
      (await all(virtualNetworks.list({ ...of, is_deleted: false }))).map(one => one.name),
      ['default'],
    );
  });

  it('is told of a wrong token, and of the account of another', async t => {
    const { apiUrl, client, of } = await openSdk(t);
    const stranger = new Cloudflare({ apiToken: 'x'.repeat(40), baseURL: apiUrl, maxRetries: 0 });
    assert.deepEqual(await refused(stranger.zeroTrust.tunnels.cloudflared.list(of)), [403, 10_000]);
    const { cloudflared } = client.zeroTrust.tunnels;
    assert.deepEqual(await refused(cloudflared.list({ account_id: 'f'.repeat(32) })), [403, 10_000]);
  });
});
