import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { listen } from '../../test/support/origin-server.ts';
import { httpService, proxyTo, type TestProxy } from '../../test/support/proxied.ts';
import { within } from '../../test/support/wait.ts';
import { AccessGuard, accessIssuer } from './access-guard.ts';

const policy = { required: true, teamName: 'team', audTag: ['aud-1', 'aud-2'], environment: '' };

async function setUp(t: TestContext) {
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  const other = await generateKeyPair('RS256');
  const state = { fetches: 0, status: 200, huge: false };
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' }] });
  const issuerServer = createServer((request, response) => {
    state.fetches += request.url === '/cdn-cgi/access/certs' ? 1 : 0;
    response.writeHead(state.status).end(state.huge ? Buffer.alloc(1 << 20, 32) : keys);
  });
  const issuer = `http://127.0.0.1:${await listen(t, issuerServer)}`;
  let served = 0;
  const origin = createServer((_request, response) => {
    served += 1;
    response.end('inside');
  });
  const port = await listen(t, origin);
  const test = await proxyTo(httpService(port), { access: policy }, { access: new AccessGuard(() => issuer) });
  t.after(() => test.close());
  const sign = (claims: Record<string, unknown> = {}, key = privateKey, kid = 'k1'): Promise<string> =>
    new SignJWT({ aud: ['x', 'aud-2'], iss: issuer, exp: Math.floor(Date.now() / 1000) + 60, ...claims })
      .setProtectedHeader({ alg: 'RS256', kid })
      .sign(key);
  return { test, sign, state, other: other.privateKey, served: () => served };
}

async function statusOf(test: TestProxy, token?: string): Promise<number> {
  const headers = token === undefined ? [] : ['Cf-Access-Jwt-Assertion', token];
  return (await within('an answer', test.request({ headers }).response)).status;
}

describe('access guard', () => {
  it('lets a valid token through, fetching the keys once', async t => {
    const { test, sign, state, served } = await setUp(t);
    for (let index = 0; index < 3; index += 1) assert.equal(await statusOf(test, await sign()), 200);
    assert.deepEqual([served(), state.fetches], [3, 1]);
    assert.equal(await statusOf(test, await sign({ aud: 'aud-1' })), 200);
  });

  it('answers 403 without a token and for another audience', async t => {
    const { test, sign, served } = await setUp(t);
    assert.equal(await statusOf(test), 403);
    assert.equal(await statusOf(test, ''), 403);
    assert.equal(await statusOf(test, await sign({ aud: 'aud-3' })), 403);
    assert.equal(await statusOf(test, await sign({ aud: undefined })), 403);
    assert.equal(served(), 0);
  });

  it('fails for a token that is not valid', async t => {
    const { test, sign, other, served } = await setUp(t);
    const past = Math.floor(Date.now() / 1000) - 60;
    const good = await sign();
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${good.split('.')[1]}.`;
    for (const token of [
      await sign({ exp: past }),
      await sign({ exp: undefined }),
      await sign({ nbf: past + 3600 }),
      await sign({ iss: 'https://elsewhere' }),
      await sign({}, other),
      await sign({}, other, 'k2'),
      `${good.slice(0, -4)}AAAA`,
      unsigned,
      'nonsense',
    ])
      await assert.rejects(statusOf(test, token), /AccessJWTValidator/);
    assert.equal(served(), 0);
    assert.ok(test.lines.some(line => line.hop === 'access'));
  });

  it('fails when the keys cannot be had, and recovers', async t => {
    const { test, sign, state } = await setUp(t);
    state.status = 500;
    await assert.rejects(statusOf(test, await sign()), /AccessJWTValidator/);
    state.status = 200;
    state.huge = true;
    await assert.rejects(statusOf(test, await sign()), /too large/);
    state.huge = false;
    assert.equal(await statusOf(test, await sign()), 200);
  });

  it('names the issuer of a team', () => {
    assert.equal(accessIssuer(policy), 'https://team.cloudflareaccess.com');
    assert.equal(accessIssuer({ ...policy, environment: 'fed' }), 'https://team.fed.cloudflareaccess.com');
  });
});
