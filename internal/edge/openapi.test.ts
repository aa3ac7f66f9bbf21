// The description of the API: what an edge serves is what the repository has, and a validator of another make takes it.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { EdgeWorld } from '../../test/support/edge-world.ts';
import { apiRoutes } from '../api/routes.ts';

interface Description {
  readonly openapi: string;
  readonly servers: readonly { readonly url: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly operationId: string }>>>>;
}

/** `docs/openapi.json`. */
async function committed(): Promise<Description> {
  return JSON.parse(await readFile(join(import.meta.dirname, '../../docs/openapi.json'), 'utf8')) as Description;
}

describe('the description of the API', () => {
  it('is served to whoever asks, and describes what the edge serves', async t => {
    const world = await EdgeWorld.open(t, { quickTunnels: true });
    const response = await fetch(`${world.edge.apiUrl}/openapi.json`, { headers: { connection: 'close' } });
    assert.deepEqual([response.status, response.headers.get('content-type')], [200, 'application/json']);
    assert.deepEqual(await response.json(), await committed());
  });

  it('is valid OpenAPI 3.1, by a validator that refuses a broken one', async () => {
    const description = await committed();
    const { valid, errors } = await new Validator().validate({ ...description });
    assert.ok(valid, JSON.stringify(errors)?.slice(0, 1_000));
    const broken = {
      ...description,
      paths: { '/x': { get: { responses: { '200': {} }, parameters: [{ in: 'moon' }] } } },
    };
    assert.equal((await new Validator().validate(broken)).valid, false);
  });

  it('names every call once', async () => {
    const { paths } = await committed();
    const operations = Object.values(paths).flatMap(item =>
      Object.values(item).flatMap(operation => (operation.operationId === undefined ? [] : [operation.operationId])),
    );
    assert.equal(new Set(operations).size, operations.length);
    for (const call of Object.keys(apiRoutes)) assert.ok(operations.includes(call), call);
  });
});
