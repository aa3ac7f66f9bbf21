import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseRemoteConfig } from '../../schema/remote-config.ts';
import { findOwnEndpoint } from './own-endpoints.ts';

const names: Readonly<Record<string, readonly string[]>> = {
  localhost: ['127.0.0.1', '::1'],
  'sneaky.example': ['127.0.0.1'],
  'elsewhere.example': ['203.0.113.5'],
  'this-host': ['192.0.2.10'],
};

async function refused(service: string, bound = '127.0.0.1'): Promise<boolean> {
  const config = parseRemoteConfig({ ingress: [{ service }] });
  const endpoints = [{ address: bound, port: 20241 }];
  const rule = await findOwnEndpoint(config, endpoints, ['192.0.2.10'], host => Promise.resolve(names[host] ?? []));
  return rule !== undefined;
}

describe('own endpoints as pushed origins', () => {
  for (const service of [
    'http://localhost:20241',
    'http://127.0.0.1:20241',
    'http://sneaky.example:20241',
    'http://0.0.0.0:20241',
    'http://127.0.0.2:20241',
    'http://[::1]:20241',
    'http://[::ffff:127.0.0.1]:20241',
    'https://localhost:20241',
    'tcp://localhost:20241',
  ]) {
    it(`refuses ${service}`, async () => assert.equal(await refused(service), true));
  }

  for (const service of [
    'http://localhost:8080',
    'http://localhost:20242',
    'http://elsewhere.example:20241',
    'http://unknown.example:20241',
    'http://192.0.2.10:20241',
    'http_status:404',
    'unix:/run/app.sock',
  ]) {
    it(`allows ${service}`, async () => assert.equal(await refused(service), false));
  }

  it('counts every address of the machine when bound to all', async () => {
    assert.equal(await refused('http://192.0.2.10:20241', '0.0.0.0'), true);
    assert.equal(await refused('http://this-host:20241', '::'), true);
    assert.equal(await refused('http://localhost:20241', '::'), true);
    assert.equal(await refused('http://203.0.113.5:20241', '0.0.0.0'), false);
  });
});
