// Strangers and other accounts at the control plane: paths that may be read in two ways, documents made to overflow, and
// every call of the route table against what belongs to somebody else.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { openTestControlPlane, type TestControlPlane } from '../../test/support/control-plane.ts';
import { createApiClient } from '../api/client.ts';
import { formatPath } from '../api/path.ts';

interface Reply {
  readonly status: number;
  readonly code: number | undefined;
}

/** One call with the request target exactly as given, which fetch would rewrite. */
function ask(edge: TestControlPlane, method: string, path: string, token: string, body = ''): Promise<Reply> {
  const { port } = new URL(edge.apiUrl);
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const call = request({ port, host: '127.0.0.1', method, path, headers, agent: false }, response => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('end', () => {
        const { errors } = JSON.parse(text) as { errors: { code: number }[] };
        resolve({ status: response.statusCode ?? 0, code: errors[0]?.code });
      });
    });
    call.once('error', reject).end(body);
  });
}

/** A call that a server with other path handling might take for an existing one of this account. */
async function open(t: TestContext) {
  const edge = await openTestControlPlane();
  t.after(() => edge[Symbol.asyncDispose]());
  const { apiToken, accountId: account, zoneId: zone } = edge.accounts.cert;
  const client = createApiClient({ apiUrl: edge.apiUrl, apiToken, userAgent: 'test' });
  const tunnel_secret = randomBytes(32).toString('base64');
  const { id } = await client.createTunnel({ params: { account }, body: { name: 'web', tunnel_secret } });
  return { edge, account, zone, apiToken, client, id };
}

describe('paths that may be read in two ways', () => {
  it('lead nowhere', async t => {
    const { edge, account, apiToken, id } = await open(t);
    const list = `/client/v4/accounts/${account}/cfd_tunnel`;
    assert.equal((await ask(edge, 'GET', list, apiToken)).status, 200);
    assert.equal((await ask(edge, 'GET', `${list}/`, apiToken)).status, 200);
    const targets = [
      `/client/v4/accounts/x/../${account}/cfd_tunnel`,
      `/client/v4/accounts/x/%2e%2e/${account}/cfd_tunnel`,
      `/client/v4/accounts/x/.%2E/${account}/cfd_tunnel`,
      `/client/v4/./accounts/${account}/cfd_tunnel`,
      `/public/../client/v4/accounts/${account}/cfd_tunnel`,
      `//client/v4/accounts/${account}/cfd_tunnel`,
      `/client/v4//accounts/${account}/cfd_tunnel`,
      `/client/v4/accounts/${account}//cfd_tunnel`,
      `/client\\v4\\accounts\\${account}\\cfd_tunnel`,
      `/client/v4/accounts%2F${account}/cfd_tunnel`,
      `/client/v4/accounts/${account}%2Fcfd_tunnel`,
      `/client/v4/accounts/${account}/cfd_tunnel/${id}%2Ftoken`,
      `/client/v4/accounts/${account}/cfd_tunnel/${id}%5Ctoken`,
      `/client/v4/accounts/${account}/cfd_tunnel/x%2f..%2f${id}`,
      `/client/v4/accounts/${account}/cfd_tunnel/10.0.0.0%2F8`,
      `/client/v4/accounts/${account}/teamnet/routes/network/..%2F8`,
      `/client/v4/accounts/${account}/teamnet/routes/network/10.0.0.0%2F8%2F..`,
      `/client/v4/accounts/${account}/teamnet/routes/network/10.0.0.0%5C8`,
      `${list}#/../x`,
      `${list}//`,
      `${list}${'/'.repeat(8_000)}x`,
      `http://127.0.0.1${list}`,
      '*',
    ];
    for (const target of targets) {
      assert.deepEqual(await ask(edge, 'GET', target, apiToken), { status: 404, code: 7003 }, target.slice(0, 100));
    }
  });

  it('are not made by our own client', () => {
    for (const bad of ['', '.', '..']) {
      assert.throws(() => formatPath('/a/{id}/b', { id: bad }), { code: 'api.invalid' });
    }
    assert.equal(formatPath('/a/{id}/b', { id: '../x?y' }), '/a/..%2Fx%3Fy/b');
  });
});

describe('documents made to overflow', () => {
  it('are refused by their depth', async t => {
    const { edge, account, apiToken, id, client } = await open(t);
    const path = `/client/v4/accounts/${account}/cfd_tunnel/${id}/configurations`;
    for (const depth of [65, 1_000, 3_000, 10_000, 100_000]) {
      const deep = `${'{"x":['.repeat(depth / 2)}${']}'.repeat(depth / 2)}`;
      const reply = await ask(edge, 'PUT', path, apiToken, `{"config":${deep}}`);
      assert.deepEqual(reply, { status: 400, code: 1001 }, `${depth} levels`);
      const open = await ask(edge, 'PUT', path, apiToken, '['.repeat(depth));
      assert.deepEqual(open, { status: 400, code: 1001 }, `${depth} brackets`);
    }
    // Brackets in strings are no levels.
    const body = { config: { note: `\\"${'[{'.repeat(1_000)}\\` } };
    assert.equal((await ask(edge, 'PUT', path, apiToken, JSON.stringify(body))).status, 200);
    assert.equal((await client.getConfiguration({ params: { account, id } })).version, 1);
  });

  it('are refused by their size also when they do not say it', async t => {
    const { edge, account, apiToken } = await open(t);
    const { port } = new URL(edge.apiUrl);
    const ended = new Promise<number>(resolve => {
      const headers = { authorization: `Bearer ${apiToken}`, 'transfer-encoding': 'chunked' };
      const path = `/client/v4/accounts/${account}/cfd_tunnel`;
      const call = request({ port, host: '127.0.0.1', method: 'POST', path, headers, agent: false }, response => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      // The answer may be lost to the reset of a connection whose request is not read.
      call.once('error', () => resolve(400));
      const feed = (): void => {
        while (!call.destroyed && call.write(Buffer.alloc(64 * 1024, 0x20)));
      };
      call.on('drain', feed);
      feed();
    });
    assert.equal(await ended, 400);
  });
});
