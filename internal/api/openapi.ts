// The description of the API for programs that read such things, made from the routes themselves. Source: OpenAPI 3.1.0
// (its schemas are JSON Schema 2020-12); docs/protocol/commands-and-api.md §9.1 for the envelope.

import * as z from 'zod';
import { nothingSchema } from '../schema/api/common.ts';
import type { ApiRoute } from './route.ts';
import { apiRoutes } from './routes.ts';

type Json = { [key: string]: unknown };

const problem = { $ref: '#/components/responses/Problem' };

/** What parameters of paths are. */
const parameters: Readonly<Record<string, string>> = {
  account: 'Id of the account: 32 hex digits',
  zone: 'Id of the zone: 32 hex digits',
  prefix: 'A CIDR block with its slash percent-encoded: `10.0.0.0%2F8`',
  ip: 'An IPv4 or IPv6 address',
};

/** The document for these routes, as plain data. `basePath` is where the paths of all but open routes begin. */
export function openApiDocument(routes: Iterable<ApiRoute>, basePath: string): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const place = route.owner === 'anyone' ? { servers: [{ url: '/' }] } : {};
    paths[route.path] = { ...place, ...paths[route.path], [route.method.toLowerCase()]: operationOf(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Control plane of a Postern edge',
      description: 'Follows the public v4 API where that has the call. Every answer is an envelope.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      version: '4.0.0',
    },
    servers: [{ url: basePath }],
    security: [{ token: [] }],
    paths: Object.fromEntries(Object.entries(paths).toSorted(([left], [right]) => (left < right ? -1 : 1))),
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'An API token' } },
      responses: {
        Problem: {
          description: 'Why the call was refused, or failed',
          content: json({ $ref: '#/components/schemas/Problem' }),
        },
      },
      schemas: { Problem: problemSchema, ResultInfo: resultInfoSchema },
    },
  };
}

function operationOf(route: ApiRoute): Json {
  const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    ...{ name, in: 'path', required: true, description: parameters[name] ?? `The ${name} that the call is about` },
    schema: { type: 'string' },
  }));
  const query = isNothing(route.query) ? {} : schemaOf(route.query);
  const required = (query.required as string[] | undefined) ?? [];
  const inQuery = Object.entries((query.properties as Json | undefined) ?? {}).map(([name, schema]) => ({
    ...{ name, in: 'query', schema },
    ...(required.includes(name) ? { required: true } : {}),
  }));
  return {
    operationId: nameOf(route),
    summary: route.op,
    tags: [subjectOf(route.path)],
    ...(inPath.length + inQuery.length === 0 ? {} : { parameters: [...inPath, ...inQuery] }),
    ...(isNothing(route.body) ? {} : { requestBody: { required: true, content: json(schemaOf(route.body)) } }),
    ...(route.owner === 'anyone' ? { security: [] } : {}),
    responses: {
      '200': { description: 'Success', content: json(envelopeOf(route)) },
      '4XX': problem,
      '5XX': problem,
    },
  };
}

function envelopeOf(route: ApiRoute): Json {
  const result = schemaOf(route.result);
  return {
    type: 'object',
    required: ['success', 'errors', 'messages', 'result', ...(route.paged ? ['result_info'] : [])],
    properties: {
      success: { const: true },
      errors: { type: 'array', maxItems: 0 },
      messages: { type: 'array', items: { type: 'string' } },
      result: route.paged ? { type: 'array', items: result } : result,
      ...(route.paged ? { result_info: { $ref: '#/components/schemas/ResultInfo' } } : {}),
    },
  };
}

const problemSchema = {
  type: 'object',
  required: ['success', 'errors', 'messages', 'result'],
  properties: {
    success: { const: false },
    errors: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        required: ['code', 'message'],
        properties: { code: { type: 'integer' }, message: { type: 'string' } },
      },
    },
    messages: { type: 'array', items: { type: 'string' } },
    result: { type: 'null' },
  },
};

const counts = ['count', 'page', 'per_page', 'total_count', 'total_pages'];
const resultInfoSchema = {
  type: 'object',
  required: counts,
  properties: Object.fromEntries(counts.map(name => [name, { type: 'integer', minimum: 0 }])),
};

function json(schema: unknown): Json {
  return { 'application/json': { schema } };
}

function isNothing(schema: z.ZodType): boolean {
  return schema === nothingSchema;
}

/** Documents as they are sent, in both directions: the server writes what its clients' schemas take. */
function schemaOf(schema: z.ZodType): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return rest;
}

const names = new Map<ApiRoute, string>(Object.entries(apiRoutes).map(([name, route]) => [route, name]));

/** Its name in the table; of a feature's own route what it does, in one word. */
function nameOf(route: ApiRoute): string {
  return names.get(route) ?? route.op.replaceAll(/[^a-zA-Z]+(.)/g, (_, letter: string) => letter.toUpperCase());
}

/** The first words of a path that are no parameter: `teamnet routes`. */
function subjectOf(path: string): string {
  const words = path.split('/').filter(word => word !== '' && !word.startsWith('{'));
  const [owner, ...rest] = words;
  const subject = rest.length > 0 && (owner === 'accounts' || owner === 'zones') ? rest : words;
  return subject[0] ?? '';
}
