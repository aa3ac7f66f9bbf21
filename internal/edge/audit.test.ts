// Walks every call that an edge serves and makes each with the owner's token on things that are there: whatever changed
// something stands in the audit log, with what was there before and after, and no secret that any answer gave is in it.

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ask, type Named, paramsOf } from '../../test/support/api-walk.ts';
import { EdgeWorld } from '../../test/support/edge-world.ts';
import { peopleRoutes } from '../api/people-routes.ts';
import type { ApiRoute } from '../api/route.ts';
import { scopeOf } from '../api/route-scope.ts';
import { type ApiCall, apiRoutes } from '../api/routes.ts';
import { parseOriginCert } from '../credentials/origin-cert.ts';
import type { AuditEntry } from '../store/contract/records.ts';

async function openWorld(t: TestContext) {
  const world = await EdgeWorld.open(t, { domain: 'example.test' });
  const { store, apiUrl } = world.edge;
  const cert = parseOriginCert(await readFile(join(world.stateDir, 'cert.pem'), 'utf8'));
  const of = { tag: cert.accountId, zone: cert.zoneId };
  const { accountTag, id: tunnel } = await world.makeTunnel();
  const user = { id: randomUUID(), accountTag, name: 'ann', scopes: ['all'], createdAtMs: 0 };
  await store.users.create(user);
  const group = { id: randomUUID(), accountTag, name: 'staff', createdAtMs: 0, members: [] };
  await store.groups.create(group);
  const device = { id: randomUUID(), accountTag, userId: user.id, name: 'laptop', createdAtMs: 0 };
  await store.devices.create(device);
  const token = { digest: randomBytes(32), accountTag, label: 'ci', createdAtMs: 0 };
  const { id: tokenId } = await store.accounts.addToken(token);
  const [net] = await store.networks.list(accountTag);
  const network = { id: randomUUID(), accountTag, name: 'lab', comment: '', isDefault: false };
  await store.networks.create({ ...network, createdAtMs: 0, deletedAtMs: undefined });
  const at = { accountTag, networkId: net?.id ?? '', tunnelId: tunnel, comment: '', createdAtMs: 0 };
  const [prefix, hostname] = [randomUUID(), randomUUID()];
  await store.ipRoutes.create({ ...at, id: prefix, prefix: '10.1.0.0/16', deletedAtMs: undefined });
  await store.privateHostnames.create({ ...at, id: hostname, hostname: 'a.lan', deletedAtMs: undefined });
  const things: Readonly<Record<string, string>> = {
    ...{ cfd_tunnel: tunnel, tunnels: tunnel, users: user.id, groups: group.id, devices: device.id, tokens: tokenId },
    ...{ routes: prefix, hostname, virtual_networks: network.id },
  };
  const named: Named = { tunnel, user: user.id, ids: [tunnel, net?.id ?? ''] };
  const call = (route: ApiRoute) => {
    const kind = /\/(\w+)\/\{id\}/.exec(route.path)?.[1] ?? '';
    const params: Record<string, string> = paramsOf(route, of, things[kind] ?? randomUUID());
    if ('user' in params) params.user = user.id;
    return ask(apiUrl, route, params, named, cert.apiToken);
  };
  const entries = async (): Promise<readonly AuditEntry[]> =>
    (await store.audit.list(accountTag, { page: 1, perPage: 1000 })).items;
  return { call, cert, entries, tunnel };
}

/** Texts of an answer that let somebody in, by the names of their keys in the v4 API and in ours. */
function secretsOf(value: unknown, key = ''): string[] {
  if (typeof value === 'string') return /^(value|token|login_code|result|tunnel_secret)$/.test(key) ? [value] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, one]) => secretsOf(one, Array.isArray(value) ? key : name));
}

describe('audit log', () => {
  it('has every change that a call made, and no secret', async t => {
    const { call, cert, entries } = await openWorld(t);
    /** What takes others' ground away comes last. */
    const order = (route: ApiRoute): number => (route.method === 'DELETE' ? -route.path.length : 0);
    const routes = Object.entries(apiRoutes) as [ApiCall, ApiRoute][];
    const sorted = routes.toSorted(([, a], [, b]) => order(a) - order(b)).toSorted(([, a], [, b]) => rank(a) - rank(b));
    const secrets = new Set([cert.apiToken, Buffer.alloc(32, 7).toString('base64')]);
    const changed: string[] = [];
    for (const [name, route] of sorted) {
      const { status, text } = await call(route);
      for (const secret of secretsOf(JSON.parse(text))) secrets.add(secret);
      const isChange = route.method !== 'GET' || route.reveals === true;
      if (scopeOf(route) === 'connect' || !isChange) continue;
      if (status === 200) changed.push(route.op);
      // Another call's document may need more than this test knows of.
      else assert.ok(!(name in peopleRoutes), `${name}: ${text}`);
    }
    const found = await entries();
    assert.deepEqual(found.map(({ action }) => action).toReversed(), changed);
    assert.ok(secrets.size >= 7, `only ${secrets.size} secrets were seen`);
    const whole = JSON.stringify(found);
    for (const secret of secrets) assert.ok(!whole.includes(secret), `a secret is in the log: ${secret.slice(0, 4)}…`);
    for (const entry of found) {
      assert.equal(entry.tokenName, 'local credential file', entry.action);
      assert.match(entry.address, /^127\.1\./);
    }
    const of = (action: string): AuditEntry => found.find(one => one.action === action) ?? assert.fail(action);
    const parsed = (text: string | undefined) => JSON.parse(text ?? 'null') as Record<string, unknown> | null;
    const renamed = of('update virtual network');
    assert.equal(parsed(renamed.before)?.name, 'lab');
    assert.match(String(parsed(renamed.after)?.name), /^given-/);
    const removed = of('remove user');
    assert.deepEqual([parsed(removed.before)?.name, removed.after], ['ann', undefined]);
    const joined = of('add member');
    assert.deepEqual(parsed(joined.before)?.members, []);
    assert.match(joined.after ?? '', /"members":\[\{"id":"[^"]+","name":"ann"\}\]/);
    assert.match(of('create tunnel').target, /^cfd_tunnel\/[0-9a-f-]{36}$/);
    assert.equal(parsed(of('create token').after)?.value, '[secret]');
  });

  it('says which tunnel a public host name led to before', async t => {
    const { call, entries, tunnel } = await openWorld(t);
    for (let count = 0; count < 2; count += 1) assert.equal((await call(apiRoutes.addRoute)).status, 200);
    const [second, first] = (await entries()).map(({ before }) => before);
    assert.deepEqual([first, second], [undefined, `{"hostname":"given.example.test","tunnel_id":"${tunnel}"}`]);
  });

  it('has no line for a call that was refused', async t => {
    const { call, entries } = await openWorld(t);
    const { status } = await call({
      ...apiRoutes.deleteNetwork,
      path: '/accounts/{account}/teamnet/virtual_networks/{x}',
    });
    assert.equal(status, 404);
    assert.deepEqual(await entries(), []);
  });
});

/** Tunnels and users go after what hangs on them. */
function rank({ method, path }: ApiRoute): number {
  if (method !== 'DELETE') return 0;
  return /\/(cfd_tunnel|users)\/\{id\}$/.test(path) ? 2 : 1;
}
