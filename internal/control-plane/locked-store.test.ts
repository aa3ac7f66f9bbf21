import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it } from 'node:test';
import { openTestControlPlane } from '../../test/support/control-plane.ts';
import { holdLock } from '../../test/support/store-lock.ts';
import { createApiClient } from '../api/client.ts';

it('an API call whose write finds the store locked is told so, and reads are answered', async t => {
  await using plane = await openTestControlPlane({ lockWaitMs: 100 });
  const { apiToken, accountId: account } = plane.accounts.cert;
  const client = createApiClient({ apiUrl: plane.apiUrl, apiToken, userAgent: 'test' });
  const body = { name: 'web', tunnel_secret: Buffer.alloc(32, 1).toString('base64') };
  const lock = await holdLock(t, join(plane.stateDir, 'edge.db'));
  await assert.rejects(client.createTunnel({ params: { account }, body }), {
    code: 'api.failed',
    message: /locked by another program: nothing was changed/,
  });
  assert.equal((await client.listNetworks({ params: { account }, query: {} })).length, 1);
  await lock.release();
  assert.equal((await client.createTunnel({ params: { account }, body })).name, 'web');
});
