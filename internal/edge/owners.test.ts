// Walks every call that an edge with all features serves, and tries each with the token of another account: the account in
// the path, ids that are another's under one's own account, and no token at all. Nothing is told, nothing changes.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it, type TestContext } from 'node:test';
import * as z from 'zod';
import { EdgeWorld } from '../../test/support/edge-world.ts';
import type { ApiRoute } from '../api/define-route.ts';
import { formatPath } from '../api/path.ts';
import { apiRoutes } from '../api/routes.ts';
import { createTag } from '../schema/api-id.ts';
import { createApiToken, digestApiToken } from '../store/secret-box.ts';

/** Stands in every text that the owner alone may read. */
const marker = 'of-the-owner';

interface Owned {
  readonly tag: string;
  readonly zone: string;
  readonly tunnel: string;
  /** Ids and names of its things, of whatever kind. */
  readonly ids: readonly string[];
}

interface Answer {
  readonly status: number;
  readonly text: string;
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
  const [zone] = await store.accounts.zonesOf(accountTag);
  const owner: Owned = {
    tag: accountTag,
    zone: zone?.id ?? assert.fail(),
    tunnel: tunnel.id,
    ids: [tunnel.id, first, second, prefix, name, tunnel.host],
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
    routes: [...routes].filter(one => one.owner !== 'anyone'),
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

/** Parameters of the path: the account's, and `thing` for whatever else it names. */
function paramsOf(route: ApiRoute, { tag, zone }: { tag: string; zone: string }, thing: string) {
  const known: Record<string, string> = { account: tag, zone, ip: '10.1.0.1' };
  const names = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  return Object.fromEntries(names.map(name => [name, known[name] ?? thing]));
}

let calls = 0;

/** Each call from an address of its own, where the system has many, so that no limit of an address is met. */
function ask(apiUrl: string, route: ApiRoute, params: Record<string, string>, ids: Owned, token?: string) {
  calls += 1;
  const url = new URL(apiUrl + formatPath(route.path, params));
  const query = sample(route.query, ids);
  for (const [key, value] of Object.entries(query ?? {})) url.searchParams.set(key, String(value));
  const body = sample(route.body, ids);
  return new Promise<Answer>((resolve, reject) => {
    const call = request(
      url,
      {
        method: route.method,
        agent: false,
        ...(process.platform === 'linux' ? { localAddress: `127.1.${calls >> 8}.${calls & 0xff}` } : {}),
        headers: {
          'Content-Type': 'application/json',
          ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
        },
      },
      response => {
        let text = '';
        response.on('data', piece => (text += String(piece)));
        response.once('end', () => resolve({ status: response.statusCode ?? 0, text }));
      },
    );
    call.once('error', reject).end(body === undefined ? undefined : JSON.stringify(body));
  });
}

interface JsonSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
}

/** A document of the schema that names the owner's things wherever it can; undefined where there is none. */
function sample(schema: z.ZodType, ids: Owned): Record<string, unknown> | undefined {
  if (schema.safeParse(undefined).success) return undefined;
  const whole = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  const { properties = {} } = whole.anyOf?.[0] ?? whole.oneOf?.[0] ?? whole;
  return Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, sampleValue(name, one, ids)]));
}

/** Texts that are checked further than their schema says, by the name of the key. */
const texts: Readonly<Record<string, (ids: Owned) => string>> = {
  tunnel_id: ids => ids.tunnel,
  uuid: ids => ids.tunnel,
  id: ids => ids.tunnel,
  client_id: ids => ids.tunnel,
  session: ids => ids.tunnel,
  virtual_network_id: ids => ids.ids[1] ?? '',
  network: () => '10.2.0.0/16',
  network_subset: () => '10.0.0.0/8',
  network_superset: () => '10.1.0.0/24',
  tunnel_secret: () => Buffer.alloc(32, 7).toString('base64'),
  existed_at: () => '2026-01-01T00:00:00Z',
  destination: () => '10.1.0.1',
  path: () => '/',
  expected_codes: () => '2xx',
};

function sampleValue(name: string, schema: JsonSchema, ids: Owned): unknown {
  const given = texts[name]?.(ids);
  if (given !== undefined) return given;
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return schema.enum[0];
  const [option] = schema.anyOf ?? [];
  if (option !== undefined) return sampleValue(name, option, ids);
  if (schema.type === 'boolean') return true;
  if (schema.type === 'integer' || schema.type === 'number')
    return Math.max(1, schema.minimum ?? (schema.exclusiveMinimum ?? 0) + 1);
  if (schema.type === 'object') return {};
  if (schema.type === 'array') return [];
  return 'given';
}

const refusals = [401, 403, 404];

describe('every call of the API', () => {
  it('gives the token of another account nothing', async t => {
    const { connector, other, owned, owner, routes, token, world } = await openWorld(t);
    const { apiUrl } = world.edge;
    assert.ok(routes.length >= Object.keys(apiRoutes).length);
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
    assert.equal(connector.connector.readyCount, 1);
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
