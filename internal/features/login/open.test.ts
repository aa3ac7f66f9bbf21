// Attacks on the login of an edge, over its real listener: forged forms, guessed and replayed codes, another account, a person
// who is gone by the time, pages of other sites.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { EdgeWorld } from '../../../test/support/edge-world.ts';
import { createApiClient } from '../../api/client.ts';
import { refusalLimits } from '../../control-plane/authorization.ts';
import { createLoginCode, digestLoginCode } from '../../credentials/login-code.ts';
import { createTag } from '../../schema/api/id.ts';
import { createApiToken, digestApiToken } from '../../store/secret-box.ts';
import { Grants, loginLimits, loginMs } from './grants.ts';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

let addresses = 0;

async function open(t: TestContext) {
  const world = await EdgeWorld.open(t);
  const { apiUrl, store } = world.edge;
  const { origin } = new URL(apiUrl);
  const account = (await store.accounts.byName('local')) ?? assert.fail();
  const user = { id: randomUUID(), accountTag: account.tag, name: 'ann', scopes: ['tunnels:read'], createdAtMs: 0 };
  await store.users.create(user);
  const newCode = async (ttlMs = 60_000): Promise<string> => {
    const code = createLoginCode();
    const digest = digestLoginCode(code) ?? assert.fail();
    await store.users.setLoginCode({ digest, userId: user.id, expiresAtMs: Date.now() + ttlMs });
    return code;
  };
  const newToken = async (accountTag: string): Promise<{ readonly id: string; readonly text: string }> => {
    const text = createApiToken();
    const token = { digest: digestApiToken(text), accountTag, label: 'own', createdAtMs: 0, scopes: ['tunnels:read'] };
    return { id: (await store.accounts.addToken(token)).id, text };
  };
  /** A client with an address of its own, where the system has many, so that no limit of another is met. */
  const newClient = () => {
    addresses += 1;
    const localAddress = process.platform === 'linux' ? `127.2.${addresses >> 8}.${addresses & 0xff}` : '127.0.0.1';
    const ask = (path: string, form?: Record<string, string>, headers: Record<string, string> = {}): Promise<Answer> =>
      new Promise((resolve, reject) => {
        const type: Record<string, string> =
          form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' };
        const method = form === undefined ? 'GET' : 'POST';
        const options = { method, agent: false, localAddress, headers: { ...type, ...headers } };
        request(new URL(path, origin), options, response => {
          let body = '';
          response.setEncoding('utf8').on('data', text => (body += String(text)));
          response.once('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
        })
          .once('error', reject)
          .end(form === undefined ? undefined : new URLSearchParams(form).toString());
      });
    const begin = async (name = 'laptop') => {
      const { body } = await ask('/oauth/device_authorization', { client_id: 'postern', client_name: name });
      return JSON.parse(body) as { device_code: string; user_code: string; verification_uri: string };
    };
    /** The form's secret value and its cookie. */
    const form = async (code = '') => {
      const { body, headers } = await ask(`/login?user_code=${code}`);
      const csrf = /name="csrf" value="([^"]+)"/.exec(body)?.[1] ?? '';
      return { csrf, cookie: String(headers['set-cookie']).replace(/;.*/, ''), body };
    };
    const decide = async (code: string, secret: string, decision = 'approve'): Promise<Answer> => {
      const { csrf, cookie } = await form(code);
      return ask('/login', { csrf, user_code: code, secret, decision }, { cookie });
    };
    const poll = async (deviceCode: string) => {
      const grant = 'urn:ietf:params:oauth:grant-type:device_code';
      const { body } = await ask('/oauth/token', { grant_type: grant, device_code: deviceCode, client_id: 'postern' });
      return JSON.parse(body) as { error?: string; access_token?: string; scope?: string };
    };
    return { ask, begin, form, decide, poll };
  };
  const whoIs = async (token: string | undefined) => {
    const answer = await fetch(`${apiUrl}/user/whoami`, { headers: { authorization: `Bearer ${token}` } });
    return ((await answer.json()) as { result: { account: { id: string }; user: { name: string } | null } }).result;
  };
  return { world, store, account, user, newCode, newToken, newClient, whoIs, origin };
}

describe('login', () => {
  it('gives the program a token of the person who confirmed, once', async t => {
    const { newClient, newCode, whoIs } = await open(t);
    const [program, person] = [newClient(), newClient()];
    const { device_code, user_code } = await program.begin();
    const code = await newCode();
    assert.match((await person.decide(user_code.toLowerCase().replace('-', ' '), code)).body, /You are logged in/);
    const given = await program.poll(device_code);
    assert.deepEqual([given.error, given.scope], [undefined, 'tunnels:read']);
    assert.equal((await whoIs(given.access_token)).user?.name, 'ann');
    assert.equal((await program.poll(device_code)).error, 'invalid_grant', 'a device code replayed');
    const second = await program.begin();
    assert.equal((await person.decide(second.user_code, code)).status, 401, 'a login code replayed');
    assert.equal((await person.decide(user_code, await newCode())).status, 400, 'a decision made twice');
  });

  it('takes no form but its own', async t => {
    const { newClient, newToken, account, origin } = await open(t);
    const [program, person] = [newClient(), newClient()];
    const { user_code, device_code } = await program.begin();
    const { text: secret } = await newToken(account.tag);
    const { csrf, cookie } = await person.form(user_code);
    const other = await newClient().form(user_code);
    const fields = { user_code, secret, decision: 'approve' };
    const tries: readonly (readonly [string, Record<string, string>, Record<string, string>, number])[] = [
      ['no cookie', { ...fields, csrf }, {}, 403],
      ['no value', fields, { cookie }, 403],
      ['another’s value', { ...fields, csrf: other.csrf }, { cookie }, 403],
      ['the cookie as the value', { ...fields, csrf: cookie.split('=')[1] ?? '' }, { cookie }, 403],
      ['another site', { ...fields, csrf }, { cookie, origin: 'https://attacker.example' }, 403],
      ['a sandboxed frame', { ...fields, csrf }, { cookie, origin: 'null' }, 403],
      ['a name that was rebound', { ...fields, csrf }, { cookie, host: 'attacker.example' }, 421],
    ];
    for (const [what, form, headers, status] of tries)
      assert.equal((await person.ask('/login', form, headers)).status, status, what);
    assert.equal((await program.poll(device_code)).error, 'authorization_pending');
    const own = await person.ask('/login', { ...fields, csrf }, { cookie, origin });
    assert.match(own.body, /You are logged in/);
  });

  it('stops who guesses codes, and tells nothing of those that are there', async t => {
    const { newClient, newCode } = await open(t);
    const [program, guesser] = [newClient(), newClient()];
    const { user_code } = await program.begin('secret-machine');
    const { csrf, cookie } = await guesser.form();
    for (let count = 0; count < refusalLimits.burst; count += 1) {
      const form = { csrf, user_code: 'BBBB-BBBB', secret: 'x', decision: 'approve' };
      assert.equal((await guesser.ask('/login', form, { cookie })).status, 400);
    }
    const right = { csrf, user_code, secret: await newCode(), decision: 'approve' };
    assert.equal((await guesser.ask('/login', right, { cookie })).status, 429);
    const shown = await guesser.form(user_code);
    assert.ok(!shown.body.includes('secret-machine'), 'a limited address sees no machine');
    const person = newClient();
    assert.match((await person.form(user_code)).body, /secret-machine/);
    assert.match((await person.decide(user_code, right.secret)).body, /You are logged in/);
  });

  it('stops who guesses login codes', async t => {
    const { newClient, newCode } = await open(t);
    const [program, guesser] = [newClient(), newClient()];
    const { user_code } = await program.begin();
    const { csrf, cookie } = await guesser.form(user_code);
    const guess = (secret: string) =>
      guesser.ask('/login', { csrf, user_code, secret, decision: 'approve' }, { cookie });
    for (let count = 0; count < refusalLimits.burst; count += 1)
      assert.equal((await guess(createLoginCode())).status, 401);
    assert.equal((await guess(await newCode())).status, 429);
  });

  it('gives another account nothing of this one', async t => {
    const { newClient, newCode, newToken, store, whoIs, account } = await open(t);
    const tag = createTag();
    const network = { id: randomUUID(), accountTag: tag, name: 'default', comment: '', isDefault: true };
    await store.accounts.create(
      { tag, name: 'other', createdAtMs: 0 },
      { id: createTag(), accountTag: tag, domain: 'other.test' },
      { ...network, createdAtMs: 0, deletedAtMs: undefined },
    );
    const other = await newToken(tag);
    const [program, person, stranger] = [newClient(), newClient(), newClient()];
    const first = await program.begin();
    await stranger.decide(first.user_code, other.text);
    assert.equal((await person.decide(first.user_code, await newCode())).status, 400);
    assert.equal((await whoIs((await program.poll(first.device_code)).access_token)).account.id, tag);
    const second = await program.begin();
    await person.decide(second.user_code, await newCode());
    assert.equal((await stranger.decide(second.user_code, other.text)).status, 400);
    assert.equal((await whoIs((await program.poll(second.device_code)).access_token)).account.id, account.tag);
    const entries = await store.audit.list(tag, { page: 1, perPage: 10 });
    assert.deepEqual(
      entries.items.map(({ action, tokenName }) => [action, tokenName]),
      [['log in', 'own']],
    );
  });

  it('gives nothing in the name of who is gone, who refused, or whose code is too old', async t => {
    const { newClient, newCode, newToken, store, account, user } = await open(t);
    const [program, person] = [newClient(), newClient()];
    const old = await program.begin();
    assert.equal((await person.decide(old.user_code, await newCode(-1))).status, 401);
    assert.match((await person.decide(old.user_code, '', 'refuse')).body, /Refused/);
    assert.equal((await program.poll(old.device_code)).error, 'access_denied');
    const token = await newToken(account.tag);
    const byToken = await program.begin();
    await person.decide(byToken.user_code, token.text);
    await store.accounts.revokeToken(account.tag, token.id);
    assert.equal((await program.poll(byToken.device_code)).error, 'access_denied');
    const byCode = await program.begin();
    await person.decide(byCode.user_code, await newCode());
    await store.users.remove(account.tag, user.id);
    assert.equal((await program.poll(byCode.device_code)).error, 'access_denied');
    const names = (await store.accounts.tokens(account.tag)).map(({ label }) => label);
    assert.deepEqual(names, ['local credential file']);
  });

  it('revokes with an API token, or the user, the tokens of its logins, and says who approved', async t => {
    const { newClient, newToken, store, account } = await open(t);
    const [program, person] = [newClient(), newClient()];
    const token = await newToken(account.tag);
    const first = await program.begin();
    await person.decide(first.user_code, token.text);
    const child = (await program.poll(first.device_code)).access_token ?? assert.fail();
    const second = await program.begin('desktop');
    await person.decide(second.user_code, child);
    const grandchild = (await program.poll(second.device_code)).access_token ?? assert.fail();
    const isKnown = async (text: string) => (await store.accounts.tokenByDigest(digestApiToken(text))) !== undefined;
    assert.deepEqual([await isKnown(child), await isKnown(grandchild)], [true, true]);
    const { items } = await store.audit.list(account.tag, { page: 1, perPage: 10, action: 'log in' });
    assert.deepEqual(
      items.map(({ tokenName }) => tokenName),
      ['login on laptop', 'own'],
    );
    assert.equal(items[1]?.tokenId, token.id);
    await store.accounts.revokeToken(account.tag, token.id);
    assert.deepEqual([await isKnown(child), await isKnown(grandchild)], [false, false]);
  });

  it('takes no token of a device', async t => {
    const { newClient, store, account, user } = await open(t);
    const [program, person] = [newClient(), newClient()];
    const device = { id: randomUUID(), accountTag: account.tag, userId: user.id, name: 'phone', createdAtMs: 0 };
    await store.devices.create(device);
    const text = createApiToken();
    const owner = { accountTag: account.tag, userId: user.id, deviceId: device.id, label: 'phone', createdAtMs: 0 };
    await store.accounts.addToken({ ...owner, digest: digestApiToken(text), scopes: ['connect'] });
    const { user_code, device_code } = await program.begin();
    const refused = await person.decide(user_code, text);
    assert.equal(refused.status, 401);
    assert.match(refused.body, /token of a device/);
    assert.equal((await program.poll(device_code)).error, 'authorization_pending');
  });

  it('gives by the code of a caller whose token expires no more time than that, nor after it was revoked', async t => {
    const { world, newClient, store, account } = await open(t);
    const expiresAtMs = Date.now() + 3_600_000;
    const text = createApiToken();
    const maker = await store.accounts.addToken({
      ...{ accountTag: account.tag, label: 'short', createdAtMs: 0, expiresAtMs, digest: digestApiToken(text) },
    });
    const client = createApiClient({ apiUrl: world.edge.apiUrl, apiToken: text, userAgent: 'test' });
    const params = { account: account.tag };
    const bob = await client.addUser({ params, body: { name: 'bob', login_code_ttl: 604_800 } });
    assert.ok(Date.parse(bob.login_code_expires_on) <= expiresAtMs);
    const [program, person] = [newClient(), newClient()];
    const first = await program.begin();
    await person.decide(first.user_code, bob.login_code);
    const { access_token: given = '' } = await program.poll(first.device_code);
    assert.equal((await store.accounts.tokenByDigest(digestApiToken(given)))?.expiresAtMs, expiresAtMs);
    const again = await client.inviteUser({ params: { ...params, id: bob.id }, body: { login_code_ttl: 3_600 } });
    const second = await program.begin();
    await store.accounts.revokeToken(account.tag, maker.id);
    assert.equal((await person.decide(second.user_code, again.login_code)).status, 401);
  });

  it('lets nobody remove a device that may do more than himself', async t => {
    const { world, store, account, user } = await open(t);
    const device = { id: randomUUID(), accountTag: account.tag, userId: user.id, name: 'phone', createdAtMs: 0 };
    await store.devices.create(device);
    const remove = async (scopes: readonly string[]) => {
      const text = createApiToken();
      const token = { accountTag: account.tag, label: 'x', createdAtMs: 0, scopes };
      await store.accounts.addToken({ ...token, digest: digestApiToken(text) });
      const client = createApiClient({ apiUrl: world.edge.apiUrl, apiToken: text, userAgent: 'test' });
      return client.removeDevice({ params: { account: account.tag, id: device.id } });
    };
    await assert.rejects(remove(['users:write']), { code: 'api.unauthorized', message: /lacks scopes of connect/ });
    assert.equal((await store.devices.list(account.tag)).length, 1);
    await remove(['users:write', 'connect']);
  });

  it('lets a login code confirm one login, however many ask at once', async t => {
    const { newClient, newCode } = await open(t);
    const program = newClient();
    const grants = [await program.begin(), await program.begin(), await program.begin()];
    const code = await newCode();
    const answers = await Promise.all(grants.map(({ user_code }) => newClient().decide(user_code, code)));
    assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 401, 401]);
    const both = await newCode();
    const again = await program.begin();
    const same = await Promise.all([1, 2, 3].map(() => newClient().decide(again.user_code, both)));
    assert.equal(same.filter(({ status }) => status === 200).length, 1);
  });

  it('has pages that run, load, frame and forward nothing', async t => {
    const { newClient, newCode } = await open(t);
    const [program, person] = [newClient(), newClient()];
    const { user_code } = await program.begin('<script>alert(1)</script>"\'&\u202e');
    const pages = [
      await person.ask('/login'),
      await person.ask(`/login?user_code=${user_code}&redirect_uri=https://attacker.example&next=//attacker.example`),
      await person.ask('/login?user_code=%22%3E%3Cscript%3E'),
      await person.decide(user_code, await newCode()),
    ];
    for (const { status, headers, body } of pages) {
      assert.equal(status, 200);
      assert.doesNotMatch(body, /<script|attacker|\u202e| (src|href|on\w+)=/);
      assert.equal(headers.location, undefined);
      assert.match(String(headers['content-security-policy']), /^default-src 'none'; style-src 'sha256-[^']+'; /);
      assert.match(String(headers['content-security-policy']), /frame-ancestors 'none'/);
      assert.equal(headers['cache-control'], 'no-store');
    }
    assert.match(String(pages[0]?.headers['set-cookie']), /HttpOnly; SameSite=Strict; Path=\//);
    const followed = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
    assert.equal((await person.ask('/login', undefined, followed)).status, 200, 'a link in a mail');
    assert.equal((await person.ask('/login', { a: 'b' }, followed)).status, 403, 'a form of another site');
    assert.equal((await person.ask('/login', { a: 'x'.repeat(20_000) })).status, 400);
    assert.equal((await person.ask('/login', {}, { 'content-type': 'text/plain' })).status, 415);
    assert.equal((await person.ask('/oauth/token')).status, 405);
  });

  it('sends nobody to a page of a host that is none', async t => {
    const { newClient } = await open(t);
    for (const host of [
      '127.0.0.1:7845@evil.example',
      '127.0.0.1:1/evil',
      'localhost:7845/../@evil',
      '127.0.0.1\tx',
      'a@b',
    ])
      assert.equal(
        (await newClient().ask('/oauth/device_authorization', { client_id: 'x' }, { host })).status,
        421,
        host,
      );
  });

  it('is begun so often by one address and no more', async t => {
    const { newClient } = await open(t);
    const flood = newClient();
    const form = { client_id: 'x' };
    for (let count = 0; count < loginLimits.perAddress; count += 1)
      assert.equal((await flood.ask('/oauth/device_authorization', form)).status, 200);
    assert.equal((await flood.ask('/oauth/device_authorization', form)).status, 429);
    assert.equal((await newClient().ask('/oauth/device_authorization', form)).status, 200);
  });
});

describe('a login under way', () => {
  const begin = () => {
    let now = 1_000_000;
    const grants = new Grants(() => now);
    const pass = (ms: number): void => {
      now += ms;
    };
    return { grants, pass, made: grants.begin('laptop', '192.0.2.1') ?? assert.fail() };
  };

  it('ends after ten minutes, decided or not, and gives its place back', () => {
    const { grants, pass, made } = begin();
    const grant = grants.pending(made.userCode) ?? assert.fail();
    assert.equal(grants.claim(grant), true);
    const nobody = {
      accountTag: 'a',
      userId: undefined,
      scopes: [],
      expiresAtMs: undefined,
      tokenId: undefined,
      parent: undefined,
    };
    grants.settle(grant, nobody);
    pass(loginMs);
    assert.equal(grants.pending(made.userCode), undefined);
    assert.deepEqual(grants.poll(made.deviceCode), { kind: 'expired' });
    assert.deepEqual(grants.poll(made.deviceCode), { kind: 'unknown' });
    for (let round = 0; round < 3; round += 1) {
      for (let count = 0; count < loginLimits.perAddress; count += 1)
        assert.notEqual(grants.begin('laptop', '192.0.2.1'), undefined);
      assert.equal(grants.begin('laptop', '192.0.2.1'), undefined);
      pass(loginMs);
    }
  });

  it('tells a program that asks too often to slow down, five seconds each time', () => {
    const { grants, pass, made } = begin();
    const kinds = [0, 100, 7_000, 2_000, 12_000].map(wait => {
      pass(wait);
      return grants.poll(made.deviceCode).kind;
    });
    assert.deepEqual(kinds, ['pending', 'slow-down', 'pending', 'slow-down', 'pending']);
  });

  it('is decided by one person at a time', () => {
    const { grants, made } = begin();
    const grant = grants.pending(made.userCode) ?? assert.fail();
    assert.equal(grants.claim(grant), true);
    assert.equal(grants.claim(grant), false);
    assert.equal(grants.pending(made.userCode), undefined);
    grants.settle(grant, undefined);
    assert.equal(grants.pending(made.userCode), grant);
  });
});
