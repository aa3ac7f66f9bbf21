// Makes calls of the API by their route alone: a path, a query and a body that get through, naming the things they are given.

import { request } from 'node:http';
import * as z from 'zod';
import { formatPath } from '../../internal/api/path.ts';
import type { ApiRoute } from '../../internal/api/route.ts';

/** What documents name wherever they can. */
export interface Named {
  readonly tunnel: string;
  readonly user: string;
  /** Ids and names of things, of whatever kind; the second one is a virtual network's. */
  readonly ids: readonly string[];
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Parameters of the path: the account's, and `thing` for whatever else it names. */
export function paramsOf(route: ApiRoute, { tag, zone }: { tag: string; zone: string }, thing: string) {
  const known: Record<string, string> = { account: tag, zone, ip: '10.1.0.1', prefix: '10.1.0.0/16' };
  const names = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  return Object.fromEntries(names.map(name => [name, known[name] ?? thing]));
}

let calls = 0;

/** Each call from an address of its own, where the system has many, so that no limit of an address is met. */
export function ask(apiUrl: string, route: ApiRoute, params: Record<string, string>, ids: Named, token?: string) {
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
function sample(schema: z.ZodType, ids: Named): Record<string, unknown> | undefined {
  if (schema.safeParse(undefined).success) return undefined;
  const whole = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  const { properties = {} } = whole.anyOf?.[0] ?? whole.oneOf?.[0] ?? whole;
  return Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, sampleValue(name, one, ids)]));
}

/** Texts that are checked further than their schema says, by the name of the key. */
const texts: Readonly<Record<string, (ids: Named) => unknown>> = {
  name: () => `given-${calls}`,
  tunnel_id: ids => ids.tunnel,
  uuid: ids => ids.tunnel,
  route_id: ids => ids.tunnel,
  content: ids => `${ids.tunnel}.cfargotunnel.com`,
  id: ids => ids.tunnel,
  client_id: ids => ids.tunnel,
  session: ids => ids.tunnel,
  virtual_network_id: ids => ids.ids[1] ?? '',
  network: () => '10.2.0.0/16',
  network_subset: () => '10.0.0.0/8',
  network_superset: () => '10.1.0.0/24',
  tunnel_secret: () => Buffer.alloc(32, 7).toString('base64'),
  existed_at: () => '2026-01-01T00:00:00Z',
  was_active_at: () => '2026-01-01T00:00:00Z',
  was_inactive_at: () => '2026-01-01T00:00:00Z',
  destination: () => '10.1.0.1',
  path: () => '/',
  expected_codes: () => '2xx',
  scopes: () => ['connect'],
  user_id: ids => ids.user,
  expires_on: () => '2099-01-01T00:00:00Z',
  since: () => '2026-01-01T00:00:00Z',
  before: () => '2099-01-01T00:00:00Z',
};

function sampleValue(name: string, schema: JsonSchema, ids: Named): unknown {
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
