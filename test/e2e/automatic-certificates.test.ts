// Public certificates of a whole edge from a real authority: asked for on demand, proven over HTTP or by TLS, renewed and
// kept. The authority is pebble; visitors check its CA.

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { connect } from 'node:tls';
import type { Answer } from 'dns-packet';
import type { ExternalAccount } from '../../internal/certificates/acme/acme-client.ts';
import { parseOriginCert } from '../../internal/credentials/origin-cert.ts';
import type { AcmeOptions, EdgeOptions } from '../../internal/edge/options.ts';
import type { ApiCertificate } from '../../internal/schema/api/certificate.ts';
import { createTag, createTunnelId } from '../../internal/schema/api/id.ts';
import { createApiToken, digestApiToken, openSecretBox } from '../../internal/store/secret-box.ts';
import { openTestDns } from '../support/dns-server.ts';
import { EdgeWorld } from '../support/edge-world.ts';
import { listen } from '../support/origin-server.ts';
import { Pebble, type PebbleOptions } from '../support/pebble.ts';
import { temporaryDirectory } from '../support/program.ts';
import { RawVisitor } from '../support/raw-visitor.ts';
import { haveTools } from '../support/tools.ts';
import { until } from '../support/wait.ts';

const name = 'app.example.test';

/** An edge that asks an authority, which runs unless it says not to. */
async function openAcmeWorld(
  t: TestContext,
  options: {
    readonly edge?: Partial<EdgeOptions>;
    readonly acme?: Partial<AcmeOptions>;
    readonly external?: ExternalAccount;
    readonly pebble?: PebbleOptions;
  } = {},
) {
  const pebble = await Pebble.find(t);
  if (pebble === undefined) return undefined;
  const { directoryUrl, caPem } = pebble;
  const authority = { directoryUrl, caPem, contact: 'you@example.com', external: options.external };
  const world = await EdgeWorld.open(t, { ...options.edge, acme: { ...options.acme, authority } });
  const start = () =>
    pebble.start({ names: [name], httpPort: world.edge.httpPort, tlsPort: world.httpsPort, ...options.pebble });
  return { pebble, world, start };
}

/** The certificate that a visitor of the name sees. */
async function visit(port: number, servername: string, ca?: string) {
  const socket = connect({ host: '127.0.0.1', port, servername, rejectUnauthorized: false, ...(ca ? { ca } : {}) });
  await once(socket, 'secureConnect');
  const { issuer, serialNumber, subjectaltname } = socket.getPeerCertificate();
  const { authorized } = socket;
  socket.destroy();
  return { issuer: String(issuer.CN), serial: serialNumber, names: subjectaltname, authorized };
}

const isPrivate = ({ issuer }: { readonly issuer: string }): boolean => issuer.startsWith('Postern edge CA');

it('gets a certificate of a routed name over HTTP, and its visitors wait for it', async t => {
  const opened = await openAcmeWorld(t);
  if (opened === undefined) return;
  const { pebble, start, world } = opened;
  await world.makeTunnel(name);
  await start();
  const seen = await visit(world.httpsPort, name, await pebble.rootPem());
  assert.deepEqual([seen.names, seen.authorized], [`DNS:${name}`, true]);
  // The same one serves on.
  assert.equal((await visit(world.httpsPort, name.toUpperCase())).serial, seen.serial);
  assert.match(pebble.log, /validate w\/ HTTP:/);
});

it('serves the private CA until the authority answers, and asks again later', async t => {
  let nowMs = Date.now();
  const opened = await openAcmeWorld(t, { acme: { now: () => nowMs, checkIntervalMs: 50 } });
  if (opened === undefined) return;
  const { start, world } = opened;
  await world.makeTunnel(name);
  assert.ok(isPrivate(await visit(world.httpsPort, name)));
  await until('a failure in the log', () => world.lines.some(({ message }) => message === 'No certificate was given'));
  await start();
  // Its time has not come: a visitor does not make the edge ask again.
  assert.ok(isPrivate(await visit(world.httpsPort, name)));
  nowMs += 3 * 60_000;
  await until('a certificate', async () => !isPrivate(await visit(world.httpsPort, name)));
});

it('proves a name by TLS where there is no HTTP listener', async t => {
  const opened = await openAcmeWorld(t, { edge: { httpPort: undefined } });
  if (opened === undefined) return;
  const { pebble, start, world } = opened;
  await world.makeTunnel(name);
  await start();
  const seen = await visit(world.httpsPort, name, await pebble.rootPem());
  assert.deepEqual([seen.names, seen.authorized], [`DNS:${name}`, true]);
});

it('goes on after refused nonces, with an external account', async t => {
  const macKey = Buffer.from('0123456789abcdef0123456789abcdef');
  const opened = await openAcmeWorld(t, {
    external: { keyId: 'kid-1', macKey },
    pebble: { badNonces: 50, externalKeys: { 'kid-1': macKey.toString('base64url') } },
  });
  if (opened === undefined) return;
  const { start, world } = opened;
  await world.makeTunnel(name);
  await start();
  assert.equal((await visit(world.httpsPort, name)).names, `DNS:${name}`);
});

it('says what is missing where the authority wants an external account', async t => {
  const opened = await openAcmeWorld(t, {
    pebble: { externalKeys: { 'kid-1': 'c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LWs' } },
  });
  if (opened === undefined) return;
  const { start, world } = opened;
  await world.makeTunnel(name);
  await start();
  assert.ok(isPrivate(await visit(world.httpsPort, name)));
  const [certificate] = await world.edge.store.certificates.list(opened.pebble.directoryUrl);
  assert.match(certificate?.problem ?? '', /--acme-eab-file/);
});

it('asks for nothing that is not routed by its own name, however many visitors call it', async t => {
  const opened = await openAcmeWorld(t, { edge: { quickTunnels: true } });
  if (opened === undefined) return;
  const { pebble, start, world } = opened;
  await world.makeTunnel('*.wild.example.test');
  const quick = await world.edge.store.accounts.byName('quick');
  assert.ok(quick !== undefined);
  const { store } = world.edge;
  const createdAtMs = Date.now();
  const quickId = createTunnelId();
  const sealed = (await openSecretBox(world.stateDir)).seal(quickId, randomBytes(32));
  await store.quickTunnels.create(
    { id: quickId, accountTag: quick.tag, name: 'quick', secret: sealed, createdAtMs },
    { tunnelId: quickId, hostname: 'quick.example.test', clientAddress: '127.0.0.1', createdAtMs },
  );
  await start();
  const names = Array.from({ length: 300 }, (_, index) => `flood-${index}.example.test`);
  names.push(
    'a.wild.example.test',
    '*.wild.example.test',
    'quick.example.test',
    'nobody.example.com',
    'example.test',
    'xn--nxasmq6b.test',
  );
  for (let index = 0; index < names.length; index += 25) {
    const seen = await Promise.all(names.slice(index, index + 25).map(item => visit(world.httpsPort, item)));
    assert.ok(seen.every(isPrivate));
  }
  assert.deepEqual(await store.certificates.list(pebble.directoryUrl), []);
  assert.doesNotMatch(pebble.log, /newAccount|sign-me-up|order-plz/);
});

it('renews in time while the old one serves, and warns louder the nearer the end is', async t => {
  const startMs = Date.now();
  let nowMs = startMs;
  const random = (): number => 0.5;
  const opened = await openAcmeWorld(t, { acme: { now: () => nowMs, random, checkIntervalMs: 20 } });
  if (opened === undefined) return;
  const { pebble, start, world } = opened;
  await world.makeTunnel(name);
  await start();
  const first = await visit(world.httpsPort, name);
  const read = async () => (await world.edge.store.certificates.list(pebble.directoryUrl))[0];
  const record = await read();
  const { issued } = record ?? {};
  assert.ok(record !== undefined && issued !== undefined);
  const lifetimeMs = issued.expiresAtMs - issued.issuedAtMs;
  // Two thirds, less half of the spread.
  assert.equal(record.nextAtMs, Math.round(issued.issuedAtMs + lifetimeMs * (2 / 3 - 0.025)));
  nowMs = record.nextAtMs - 60_000;
  await settleChecks(world);
  assert.equal((await visit(world.httpsPort, name)).serial, first.serial);
  assert.equal((await read())?.attemptedAtMs, record.attemptedAtMs);

  // The authority is away when the time comes.
  await pebble.stop();
  nowMs = record.nextAtMs;
  const said = (level: string) =>
    world.lines.some(line => line.level === level && /could not be renewed/.test(String(line.message)));
  await until('a warning', () => said('warn'));
  assert.equal((await visit(world.httpsPort, name)).serial, first.serial);
  assert.equal(said('error'), false);
  const failed = await read();
  assert.ok(failed !== undefined && failed.nextAtMs > nowMs && failed.nextAtMs - nowMs <= 2 * 60_000);
  nowMs = issued.expiresAtMs - lifetimeMs / 20;
  await until('an error', () => said('error'));
  assert.equal((await visit(world.httpsPort, name)).serial, first.serial);

  // It comes back, has forgotten everything, and its CA is another.
  await start();
  nowMs += 60 * 60_000;
  await until('a new certificate', async () => (await visit(world.httpsPort, name)).serial !== first.serial);
  assert.deepEqual([(await read())?.failures, (await read())?.problem], [0, undefined]);
});

it('keeps keys sealed, and serves what is kept after a restart without asking anybody', async t => {
  const opened = await openAcmeWorld(t);
  if (opened === undefined) return;
  const { pebble, start, world } = opened;
  await world.makeTunnel(name);
  await start();
  const { serial } = await visit(world.httpsPort, name);
  await world.edge.stop();
  await pebble.stop();
  for (const file of ['edge.db', 'edge.db-wal']) {
    const bytes = await readFile(join(world.stateDir, file)).catch(() => Buffer.alloc(0));
    assert.doesNotMatch(bytes.toString('latin1'), /PRIVATE KEY/);
  }
  const { caPem, directoryUrl } = pebble;
  const authority = { directoryUrl, caPem, contact: 'you@example.com' };
  const again = await EdgeWorld.open(t, { stateDir: world.stateDir, acme: { authority } });
  assert.equal((await visit(again.httpsPort, name)).serial, serial);
});

it('counts the orders of an account and of the authority', async t => {
  const opened = await openAcmeWorld(t, { acme: { limits: { ofAccount: 1, ofAuthority: 5 } } });
  if (opened === undefined) return;
  const { start, world } = opened;
  await world.makeTunnel(name);
  await world.makeTunnel('second.example.test');
  await start();
  assert.ok(!isPrivate(await visit(world.httpsPort, name)));
  assert.ok(isPrivate(await visit(world.httpsPort, 'second.example.test')));
  assert.ok(world.lines.some(({ limit }) => limit === 'account'));
});

it('passes on a token that is not its own: a connector may ask an authority by itself', async t => {
  const opened = await openAcmeWorld(t);
  if (opened === undefined) return;
  const { start, world } = opened;
  const tunnel = await world.makeTunnel(name);
  await world.connect(tunnel, [{ service: 'http_status:204' }]);
  await start();
  await visit(world.httpsPort, name);
  const visitor = await RawVisitor.open(t, world.httpPort);
  visitor.send(`GET /.well-known/acme-challenge/theirs HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
  await visitor.sees('\r\n\r\n');
  assert.match(visitor.text, /^HTTP\/1\.1 204 /);
});

it('shows an account the certificates of its names, and nobody else’s', async t => {
  const opened = await openAcmeWorld(t);
  if (opened === undefined) return;
  const { start, world } = opened;
  const { store } = world.edge;
  const other = createTag();
  const network = { id: randomUUID(), accountTag: other, name: 'default', comment: '', isDefault: true };
  await store.accounts.create(
    { tag: other, name: 'other', createdAtMs: 1 },
    { id: createTag(), accountTag: other, domain: 'example.test' },
    { ...network, createdAtMs: 1, deletedAtMs: undefined },
  );
  const value = createApiToken();
  await store.accounts.addToken({ digest: digestApiToken(value), accountTag: other, label: 'other', createdAtMs: 1 });
  await world.makeTunnel(name);
  await start();
  await visit(world.httpsPort, name);
  const cert = parseOriginCert(await readFile(join(world.stateDir, 'cert.pem'), 'utf8'));
  const list = async (account: string, apiToken: string) => {
    const answer = await fetch(`${world.edge.apiUrl}/accounts/${account}/certificates`, {
      headers: { authorization: `Bearer ${apiToken}` },
    });
    const { result } = (await answer.json()) as { readonly result: readonly ApiCertificate[] | null };
    return { status: answer.status, names: (result ?? []).map(({ names }) => names.join(' ')) };
  };
  assert.ok((await list(cert.accountId, cert.apiToken)).names.includes(name));
  assert.deepEqual(await list(other, value), { status: 200, names: [] });
  assert.notEqual((await list(cert.accountId, value)).status, 200);
});

/** Two looks have come and gone since the call. */
async function settleChecks(world: EdgeWorld): Promise<void> {
  const automatic = world.edge.automatic;
  assert.ok(automatic !== undefined);
  await automatic.check();
  await automatic.check();
}

it('gets the wildcard as the name server of the domain, and quick tunnels use it', async t => {
  const dns = { host: '127.0.0.1', port: 0 };
  const opened = await openAcmeWorld(t, { acme: { dns } });
  if (opened === undefined) return;
  const { pebble, world } = opened;
  const { challengeDnsPort } = world.edge;
  assert.ok(challengeDnsPort !== undefined);
  await pebble.start({ dnsPort: challengeDnsPort });
  await world.edge.automatic?.check();
  // The first attempt found nobody.
  const { store } = world.edge;
  const [failed] = await store.certificates.list(pebble.directoryUrl);
  if (failed?.issued === undefined) {
    await store.certificates.postpone(pebble.directoryUrl, '*.example.test', 0);
    await world.edge.automatic?.check();
  }
  assert.deepEqual(
    (await store.certificates.list(pebble.directoryUrl)).map(({ problem }) => problem),
    [undefined],
  );
  const root = await pebble.rootPem();
  for (const visited of ['example.test', 'any.example.test', 'QUICK.example.test']) {
    const seen = await visit(world.httpsPort, visited, root);
    assert.deepEqual([seen.authorized, seen.names], [true, 'DNS:*.example.test, DNS:example.test']);
  }
  // A name below needs one of its own, and this one has no route.
  assert.ok(isPrivate(await visit(world.httpsPort, 'a.b.example.test')));
  assert.equal((await store.certificates.list(pebble.directoryUrl)).length, 1);
});

it('gets the wildcard by a program that sets the record, and says what the program said', async t => {
  const home = await temporaryDirectory(t);
  const program = join(home, 'hook');
  const records = new Map<string, Answer[]>();
  const server = await openTestDns({ records });
  t.after(() => server.close());
  // The program tells the test what it was asked for, and waits for the record as it would for a provider.
  const calls = createServer(async (request, response) => {
    const [, action = '', record = '', value = ''] = (request.url ?? '').split('/');
    if (action === 'present') records.set(`TXT ${record}`, [{ type: 'TXT', name: record, ttl: 1, data: value }]);
    else records.delete(`TXT ${record}`);
    response.end();
  });
  const port = await listen(t, calls);
  await writeFile(program, '#!/bin/sh\necho "no such zone" >&2\nexit 3\n', { mode: 0o700 });
  let nowMs = Date.now();
  const opened = await openAcmeWorld(t, {
    acme: { dnsHook: program, now: () => nowMs },
    pebble: { dnsPort: server.port },
  });
  if (opened === undefined || !(await haveTools(t, 'curl'))) return;
  const { pebble, start, world } = opened;
  await start();
  const { certificates } = world.edge.store;
  const read = async () => (await certificates.list(pebble.directoryUrl))[0];
  nowMs += 10 * 60_000;
  await world.edge.automatic?.check();
  assert.match((await read())?.problem ?? '', /hook present failed: it ended with 3: no such zone/);
  const script = `#!/bin/sh\nexec curl --silent --show-error --fail "http://127.0.0.1:${port}/$1/$2/$3"\n`;
  await writeFile(program, script, { mode: 0o700 });
  nowMs += 60 * 60_000;
  await world.edge.automatic?.check();
  assert.deepEqual([(await read())?.problem, (await read())?.failures], [undefined, 0]);
  assert.equal((await visit(world.httpsPort, 'any.example.test', await pebble.rootPem())).authorized, true);
  assert.equal(records.size, 0);
});
