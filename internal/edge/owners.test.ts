// Walks every call that an edge with all features serves, and tries each with the token of another account: the account in
// the path, ids that are another's under one's own account, and no token at all. Nothing is told, nothing changes.

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it, type TestContext } from 'node:test';
import { type Answer, ask, type Named, paramsOf } from '../../test/support/api-walk.ts';
import { EdgeWorld } from '../../test/support/edge-world.ts';
import type { ApiRoute } from '../api/route.ts';
import { scopeOf } from '../api/route-scope.ts';
import { apiRoutes } from '../api/routes.ts';
import { createTag } from '../schema/api/id.ts';
import { hasScope, scopeNames } from '../schema/api/scopes.ts';
import { createApiToken, digestApiToken } from '../store/secret-box.ts';

/** Stands in every text that the owner alone may read. */
const marker = 'of-the-owner';

interface Owned extends Named {
  readonly tag: string;
  readonly zone: string;
}

async function openWorld(t: TestContext) {
  const world = await EdgeWorld.open(t, { quickTunnels: true, domain: 'example.test' });
  const { store } = world.edge;
  const tunnel = await world.makeTunnel(`${marker}.example.test`);
  const accountTag = tunnel.accountTag;
  await store.tunnels.setConfiguration(accountTag, tunnel.id, `{"ingress":[{"service":"http://${marker}"}]}`, 0);
  const connector = await world.connect(tunnel, [{ service: 'http_status:200' }]);
  const at = { accountTag, createdAtMs: 0, deletedAtMs: undefined, comment: marker };
  const [first, second] = [randomUUID(), randomUUID()];
  for (const id of [first, second])
    await store.networks.create({ ...at, id, name: `${marker}-${id}`, isDefault: id === first });
  const [prefix, name] = [randomUUID(), randomUUID()];
  const route = { ...at, networkId: first, tunnelId: tunnel.id };
  await store.ipRoutes.create({ ...route, id: prefix, prefix: '10.1.0.0/16' });
  await store.privateHostnames.create({ ...route, id: name, hostname: `${marker}.internal` });
  const publicPort = randomUUID();
  const leads = { protocol: 'tcp', port: 1, tunnelId: tunnel.id, document: `{"hostname":"${marker}"}` } as const;
  await store.publicPorts.create({ id: publicPort, accountTag, ...leads, createdAtMs: 0 }, 1);
  const [user, device] = [randomUUID(), randomUUID()];
  await store.users.create({ id: user, accountTag, name: `${marker} user`, scopes: ['all'], createdAtMs: 0 });
  await store.devices.create({ id: device, accountTag, userId: user, name: `${marker} device`, createdAtMs: 0 });
  const group = { id: randomUUID(), accountTag, name: `${marker} group`, createdAtMs: 0, members: [user] };
  await store.groups.create(group);
  const own = { accountTag, label: `${marker} token`, createdAtMs: 0, userId: user, deviceId: device };
  const { id: ownToken } = await store.accounts.addToken({ ...own, digest: randomBytes(32) });
  const entry = { accountTag, atMs: 0, action: marker, target: marker, before: undefined, after: `"${marker}"` };
  const actor = { userId: user, userName: '', tokenId: ownToken, tokenName: '', address: '' };
  await store.audit.add({ ...entry, ...actor });
  const [zone] = await store.accounts.zonesOf(accountTag);
  const owner: Owned = {
    tag: accountTag,
    zone: zone?.id ?? assert.fail(),
    tunnel: tunnel.id,
    user,
    ids: [tunnel.id, publicPort, first, second, prefix, name, tunnel.host, user, device, group.id, ownToken],
  };

  const other = createTag();
  const otherZone = createTag();
  await store.accounts.create(
    { tag: other, name: 'other', createdAtMs: 0 },
    { id: otherZone, accountTag: other, domain: 'other.test' },
    { ...at, accountTag: other, id: randomUUID(), name: 'default', comment: '', isDefault: true },
  );
  const token = createApiToken();
  await store.accounts.addToken({ digest: digestApiToken(token), accountTag: other, label: '', createdAtMs: 0 });
  const served = world.edge.features.flatMap(feature => feature.api ?? []).map(call => call.route);
  const routes = new Set<ApiRoute>([...Object.values(apiRoutes), ...served]);
  return {
    world,
    owner,
    connector,
    token,
    other: { tag: other, zone: otherZone },
    routes: [...routes].filter(one => one.owner === 'account' || one.owner === 'zone'),
    callerRoutes: [...routes].filter(one => one.owner === 'caller'),
    /** What the store holds of the owner, but for which connectors are here at the moment. */
    owned: (): string[] => rowsOf(world.stateDir, [owner.tag, ...owner.ids]),
  };
}

function rowsOf(stateDir: string, ids: readonly string[]): string[] {
  const database = new DatabaseSync(join(stateDir, 'edge.db'), { readOnly: true });
  try {
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all() as { name: string }[];
    return tables
      .filter(({ name }) => name !== 'edges' && name !== 'clients')
      .flatMap(({ name }) =>
        database
          .prepare(`SELECT * FROM "${name}"`)
          .all()
          .map(row => `${name} ${JSON.stringify(row)}`),
      )
      .filter(row => ids.some(id => row.includes(id)));
  } finally {
    database.close();
  }
}

const refusals = [401, 403, 404];

describe('every call of the API', () => {
  it('gives the token of another account nothing', async t => {
    const { callerRoutes, connector, other, owned, owner, routes, token, world } = await openWorld(t);
    const { apiUrl } = world.edge;
    assert.ok(routes.length + callerRoutes.length >= Object.keys(apiRoutes).length);
    const before = owned();
    assert.ok(before.length >= 8, before.join('\n'));
    for (const route of routes) {
      const what = `${route.method} ${route.path}`;
      const check = ({ status, text }: Answer, how: string, expected = refusals): void => {
        assert.ok(expected.includes(status), `${what}, ${how}: ${status} ${text}`);
        assert.ok(!text.includes(marker), `${what}, ${how}, told ${text}`);
        assert.doesNotMatch(text, /Invalid request/, `${what}, ${how}: its documents must be ones that get through`);
      };
      const named = paramsOf(route, owner, owner.tunnel);
      check(await ask(apiUrl, route, named, owner), 'without a token', [403]);
      check(await ask(apiUrl, route, named, owner, token), 'path of the owner', [403]);
      const namesThing = Object.values(named).includes(owner.tunnel);
      for (const id of namesThing ? owner.ids : ['']) {
        const answer = await ask(apiUrl, route, paramsOf(route, other, id), owner, token);
        // Without an id of the owner's in its path a call is about one's own things, and may be served.
        check(answer, `own path, id ${id}`, id === '' ? [...refusals, 200] : refusals);
        assert.deepEqual(owned(), before, `${what} changed what is the owner's`);
      }
    }
    for (const route of callerRoutes) {
      const bare = await ask(apiUrl, route, {}, owner);
      assert.equal(bare.status, 401, `${route.path}: ${bare.text}`);
      const { status, text } = await ask(apiUrl, route, {}, owner, token);
      assert.equal(status, 200, `${route.path}: ${text}`);
      assert.ok(!owner.ids.some(id => text.includes(id)) && !text.includes(owner.tag), `${route.path} told ${text}`);
    }
    assert.equal(connector.connector.readyCount, 1);
  });

  it('takes the scope that its table says, and no other', async t => {
    const { owner, routes, world } = await openWorld(t);
    const { apiUrl, store } = world.edge;
    const tokenWith = async (scopes: readonly string[]): Promise<string> => {
      const token = createApiToken();
      const digest = digestApiToken(token);
      await store.accounts.addToken({ digest, accountTag: owner.tag, label: '', createdAtMs: 0, scopes });
      return token;
    };
    const known = scopeNames.filter(name => name !== 'all');
    const tokens = new Map<string, { readonly just: string; readonly others: string }>();
    for (const scope of known) {
      const others = known.filter(name => !hasScope([name], scope));
      tokens.set(scope, { just: await tokenWith([scope]), others: await tokenWith(others) });
    }
    for (const route of routes) {
      const what = `${route.method} ${route.path}`;
      const scope = scopeOf(route) ?? assert.fail(what);
      assert.ok(scope !== 'all', `${what}: say what it is about, by its resource`);
      const { just, others } = tokens.get(scope) ?? assert.fail(`${what}: ${scope}`);
      const params = paramsOf(route, owner, randomUUID());
      const refused = await ask(apiUrl, route, params, owner, others);
      assert.deepEqual([refused.status, refused.text.includes('"code":9109')], [403, true], `${what}: ${refused.text}`);
      assert.ok(refused.text.includes(scope), refused.text);
      const admitted = await ask(apiUrl, route, params, owner, just);
      assert.doesNotMatch(admitted.text, /"code":9109,"message":"[^"]*needs the scope/, `${what}: ${admitted.text}`);
    }
  });

  it('is served by an edge', async t => {
    const { owner, routes, world } = await openWorld(t);
    const cert = await world.edge.store.accounts.byName('local');
    const token = createApiToken();
    const accountTag = cert?.tag ?? assert.fail();
    await world.edge.store.accounts.addToken({
      digest: digestApiToken(token),
      accountTag,
      label: '',
      createdAtMs: 0,
    });
    for (const route of routes) {
      const { text } = await ask(world.edge.apiUrl, route, paramsOf(route, owner, randomUUID()), owner, token);
      assert.doesNotMatch(text, /"code":7003|"code":10000/, `${route.method} ${route.path}: ${text}`);
    }
  });
});
