// Logging in through the real program: the command asks, a person confirms on the page, and cert.pem is there; then with a
// token file, to a profile, and over TLS by the pin of the edge's CA.

import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { encodeOriginCert, parseOriginCert } from '../../internal/credentials/origin-cert.ts';
import { listen } from '../support/origin-server.ts';
import { startProgram, temporaryDirectory } from '../support/program.ts';
import { runPostern } from '../support/run-cli.ts';

const ports = ['--http-port', '0', '--https-port', '-1', '--connector-port', '0'];

async function openEdge(t: TestContext, api: string) {
  const home = await temporaryDirectory(t);
  const edge = startProgram(t, ['edge', 'run', '--state-dir', join(home, 'state'), ...ports, '--api', api], { home });
  const [, apiUrl = ''] = await edge.logged(/Listening for API calls.*?(https?:\/\/[^\s"]+)/);
  await edge.logged(/Edge ready/);
  const operator = (...argv: string[]) => runPostern(home, argv);
  return { operator, origin: new URL(apiUrl).origin };
}

/** What a browser does: opens the page, fills in the form, sends it back with its cookie. */
async function confirm(url: string, secret: string): Promise<string> {
  const page = await fetch(url);
  const html = await page.text();
  const value = (name: string): string => new RegExp(`name="${name}"[^>]*? value="([^"]*)"`).exec(html)?.[1] ?? '';
  const answer = await fetch(new URL('/login', url), {
    method: 'POST',
    headers: { cookie: (page.headers.get('set-cookie') ?? '').replace(/;.*/, '') },
    body: new URLSearchParams({ csrf: value('csrf'), user_code: value('user_code'), secret, decision: 'approve' }),
  });
  return answer.text();
}

it('tunnel login writes a cert.pem that a person confirmed, and never over another', async t => {
  const { operator, origin } = await openEdge(t, '127.0.0.1:0');
  const added = await operator('user', 'add', 'ann', '--scope', 'tunnels:write', '--scope', 'users:read');
  const [, code = ''] = /^Login code: (\S+)/.exec(added.stdout.split('\n')[1] ?? '') ?? [];
  assert.ok(added.stdout.includes(`postern tunnel login ${origin}\n`), added.stdout);

  const home = await temporaryDirectory(t);
  const login = startProgram(t, ['tunnel', 'login', origin], { home });
  const [, url = ''] = await login.logged(/(http:\S+\/login\?user_code=[A-Z]{4}-[A-Z]{4})/);
  assert.match(await confirm(url, code), /You are logged in/);
  assert.equal(await login.exited, 0, login.log());
  const path = join(home, '.postern', 'cert.pem');
  assert.match(login.log(), /You have successfully logged in as ann in account local/);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const text = await readFile(path, 'utf8');
  assert.match(text, /^-----BEGIN ARGO TUNNEL TOKEN-----\n/);
  assert.equal(parseOriginCert(text).apiUrl, `${origin}/client/v4`);

  const who = JSON.parse((await runPostern(home, ['whoami', '-o', 'json'])).stdout) as { user: { name: string } };
  assert.equal(who.user.name, 'ann');
  assert.equal((await runPostern(home, ['tunnel', 'create', 'web'])).code, 0);
  const again = await runPostern(home, ['tunnel', 'login', origin]);
  assert.deepEqual([again.code, /existing certificate at .* login would overwrite/.test(again.stderr)], [0, true]);
  assert.equal(await readFile(path, 'utf8'), text);

  const made = await operator('token', 'create', 'ci', '--scope', 'tunnels:read');
  writeFileSync(join(home, 'token'), made.stdout, { mode: 0o600 });
  const work = await runPostern(home, ['tunnel', '--profile', 'work', 'login', '--token-file', 'token', origin]);
  assert.equal(work.code, 0, work.stderr);
  const name = async (...argv: string[]): Promise<string> => {
    const { stdout } = await runPostern(home, [...argv, 'whoami', '-o', 'json']);
    return (JSON.parse(stdout) as { token: { name: string } }).token.name;
  };
  assert.match(await name(), /^login on /);
  assert.equal(await name('--profile', 'work'), 'ci');
  assert.equal((await runPostern(home, ['profile', 'use', 'work'])).code, 0);
  assert.equal(await name(), 'ci');
  const listed = await runPostern(home, ['profile', 'list', '-o', 'json']);
  const profiles = JSON.parse(listed.stdout) as { name: string; in_use: boolean }[];
  assert.deepEqual(
    profiles.map(profile => [profile.name, profile.in_use]),
    [
      ['default', false],
      ['work', true],
    ],
  );
  assert.match((await runPostern(home, ['--profile', 'none', 'whoami'])).stderr, /no profile "none"/);
  assert.match((await operator('audit', '--action', 'log in')).stdout, /ann .*login on/);
});

it('tunnel login trusts an edge by the pin of its CA, and no other', async t => {
  const { operator, origin } = await openEdge(t, '0.0.0.0:0');
  assert.match(origin, /^https:/);
  const added = await operator('user', 'add', 'ann');
  const [, pin = ''] = /--ca-pin ([0-9a-f]{64})/.exec(added.stdout) ?? [];
  const home = await temporaryDirectory(t);
  const made = await operator('token', 'create', 'ci', '--user', 'ann', '--scope', 'tunnels:read');
  writeFileSync(join(home, 'token'), made.stdout, { mode: 0o600 });
  const login = (...argv: string[]) => runPostern(home, ['tunnel', 'login', '--token-file', 'token', ...argv]);
  assert.match((await login(origin)).stderr, /self.signed|unable to (get|verify)/);
  assert.match((await login('--ca-pin', 'ab'.repeat(32), origin)).stderr, /shows no CA of the pin/);
  assert.match((await login(`http://edge.example.com`)).stderr, /is not encrypted/);
  const done = await login('--ca-pin', pin, origin);
  assert.equal(done.code, 0, done.stderr);
  assert.equal((await runPostern(home, ['tunnel', 'list'])).code, 0);
});

it('tunnel login without an edge asks Cloudflare, as cloudflared does', async t => {
  const cert = encodeOriginCert({ zoneId: 'z', accountId: 'a', apiToken: 'secret' });
  const asked: string[] = [];
  const answers = ['', cert];
  const callback = await listen(
    t,
    createServer((request, response) => {
      asked.push(request.url ?? '');
      response.end(answers.shift());
    }),
  );
  const home = await temporaryDirectory(t);
  const at = `http://127.0.0.1:${callback}/`;
  const login = await runPostern(home, [
    'tunnel',
    'login',
    '--loginURL',
    'https://dash.test/x',
    '--callbackURL',
    at,
    '-f',
  ]);
  assert.equal(login.code, 0, login.stderr);
  const [, page = ''] = /^(https:\S+)$/m.exec(login.stderr) ?? [];
  const place = new URL(page).searchParams.get('callback') ?? '';
  assert.match(page, /^https:\/\/dash\.test\/x\?aud=&callback=http%3A/);
  assert.match(place, /\/[\w-]{43}=$/);
  assert.deepEqual(asked, [new URL(place).pathname, new URL(place).pathname]);
  const text = await readFile(join(home, '.postern', 'cert.pem'), 'utf8');
  assert.deepEqual(parseOriginCert(text), { zoneId: 'z', accountId: 'a', apiToken: 'secret', endpoint: 'fed' });
  assert.ok(!login.stderr.includes('secret'));
});
