// Public host names of several accounts as DNS records: what leads for one is neither told to another nor taken by it.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { it } from 'node:test';
import { openTestControlPlane } from '../../../test/support/control-plane.ts';
import { type ApiClient, createApiClient } from '../../api/client.ts';
import { createTag } from '../../schema/api/id.ts';
import { createApiToken, digestApiToken } from '../../store/secret-box.ts';

it('a name of another account is refused by every call, and told like one that is taken', async t => {
  const edge = await openTestControlPlane();
  t.after(() => edge[Symbol.asyncDispose]());
  const { store, accounts, apiUrl } = edge;
  const clientOf = (apiToken: string): ApiClient => createApiClient({ apiUrl, apiToken, userAgent: 'test' });
  const own = { account: accounts.local.tag, zone: accounts.cert.zoneId, client: clientOf(accounts.cert.apiToken) };
  const tag = createTag();
  const zone = createTag();
  const network = { id: randomUUID(), accountTag: tag, name: 'default', comment: '', isDefault: true, createdAtMs: 0 };
  // Both accounts have the same domain, as that of quick tunnels and the operator's have.
  await store.accounts.create(
    { tag, name: 'other', createdAtMs: 0 },
    { id: zone, accountTag: tag, domain: 'example.com' },
    { ...network, deletedAtMs: undefined },
  );
  const token = createApiToken();
  await store.accounts.addToken({ digest: digestApiToken(token), accountTag: tag, label: '', createdAtMs: 0 });
  const other = { account: tag, zone, client: clientOf(token) };
  const tunnelOf = async ({ account, client }: typeof own): Promise<string> =>
    (await client.createTunnel({ params: { account }, body: { name: 'web' } })).id;
  const [mine, theirs] = [await tunnelOf(own), await tunnelOf(other)];
  const record = (id: string, name: string) => ({ type: 'CNAME', name, content: `${id}.cfargotunnel.com` }) as const;
  const made = await own.client.createDnsRecord({ params: { zone: own.zone }, body: record(mine, 'app') });
  await own.client.createDnsRecord({ params: { zone: own.zone }, body: record(mine, '*.apps') });

  const params = { zone: other.zone };
  assert.deepEqual(await other.client.listDnsRecords({ params }), []);
  const taken = { code: 'api.invalid', message: /app\.example\.com (leads to another tunnel|exists already)|\*\.apps/ };
  for (const name of ['app', '*.apps', 'APP.example.com.']) {
    await assert.rejects(other.client.createDnsRecord({ params, body: record(theirs, name) }), taken);
    for (const overwrite of [false, true]) {
      const body = { type: 'dns', user_hostname: name, overwrite_existing: overwrite } as const;
      await assert.rejects(other.client.addRoute({ params: { ...params, id: theirs }, body }), taken);
    }
  }
  const free = await other.client.createDnsRecord({ params, body: record(theirs, 'free') });
  await assert.rejects(
    other.client.updateDnsRecord({ params: { ...params, id: free.id }, body: { name: 'app' } }),
    taken,
  );
  await assert.rejects(
    other.client.updateDnsRecord({ params: { ...params, id: free.id }, body: { content: `${mine}.cfargotunnel.com` } }),
    { code: 'api.not-found' },
  );
  for (const id of [made.id, randomUUID()]) {
    const missing = { code: 'api.not-found', message: /81044/ };
    await assert.rejects(other.client.getDnsRecord({ params: { ...params, id } }), missing);
    await assert.rejects(other.client.deleteDnsRecord({ params: { ...params, id } }), missing);
  }
  assert.equal((await store.hostnames.get('app.example.com'))?.tunnelId, mine);
  assert.equal((await store.hostnames.get('free.example.com'))?.tunnelId, theirs);
});
