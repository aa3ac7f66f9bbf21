// tunnel create, list, info, token, cleanup and delete against a real control plane, found as on the edge's machine.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { parse } from 'yaml';
import { readCredentialsFile } from '../../internal/credentials/tunnel-credentials.ts';
import { parseToken } from '../../internal/credentials/tunnel-token.ts';
import { parseTunnelId, type TunnelId } from '../../internal/schema/api/id.ts';
import { authenticateTunnel } from '../../internal/store/authenticate-tunnel.ts';
import { openTestControlPlane, type TestControlPlane, testEdge } from '../../test/support/control-plane.ts';
import { liveClient, liveConnection } from '../../test/support/live-tunnels.ts';
import { type CliOutcome, runPostern } from '../../test/support/run-cli.ts';

describe('tunnel management commands', () => {
  let edge: TestControlPlane;
  beforeEach(async () => {
    edge = await openTestControlPlane();
  });
  afterEach(() => edge[Symbol.asyncDispose]());
  const tunnel = (...argv: string[]): Promise<CliOutcome> => runPostern(edge.home, ['tunnel', ...argv]);
  const create = async (name: string): Promise<TunnelId> => {
    const { code, stdout, stderr } = await tunnel('create', name);
    assert.equal(code, 0, stderr);
    const id = parseTunnelId(/ with id (\S+)\n$/.exec(stdout)?.[1] ?? '');
    assert.ok(id !== undefined, stdout);
    return id;
  };
  const connect = (id: TunnelId, locations: string[]): string => {
    const client = randomUUID();
    const openedAtMs = Date.UTC(2026, 0, 2);
    const connections = locations.map((location, index) =>
      liveConnection({
        ...{ id: randomUUID(), index, location: location.replace('?', ''), openedAtMs },
        pendingReconnect: location.endsWith('?'),
      }),
    );
    const active = { id: client, features: ['f'], version: '1.2', arch: 'linux_amd64', runAtMs: openedAtMs };
    edge.live.set(id, [...(edge.live.get(id) ?? []), liveClient({ ...active, connections })]);
    return client;
  };

  it('create writes credentials that register, and names the edge in them', async () => {
    const { code, stdout, stderr } = await tunnel('create', 'web');
    assert.deepEqual([code, stderr], [0, '']);
    const id = parseTunnelId(stdout.slice(-37).trim());
    assert.ok(id !== undefined);
    const path = join(edge.home, '.postern', `${id}.json`);
    assert.equal(
      stdout,
      `Tunnel credentials written to ${path}. postern chose this file based on where your origin certificate was found. ` +
        `Keep this file secret. To revoke these credentials, delete the tunnel.\n\nCreated tunnel web with id ${id}\n`,
    );
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const credentials = readCredentialsFile(path);
    assert.deepEqual([credentials.edge, credentials.caPin], [testEdge.addresses, testEdge.caPin]);
    const { accountTag, secret } = credentials;
    assert.equal(await authenticateTunnel(edge.store, { accountTag, tunnelId: id, secret }), 'accepted');
  });

  it('create takes a secret and a file, and prints JSON or YAML', async () => {
    const secret = Buffer.alloc(40, 5).toString('base64');
    const file = join(edge.home, 'own.json');
    const made = await tunnel('create', '-o', 'json', '--secret', secret, '--cred-file', 'own.json', 'web');
    const shown = JSON.parse(made.stdout) as { id: string; name: string; token?: string };
    assert.deepEqual([made.code, shown.name], [0, 'web']);
    assert.deepEqual(Buffer.from(parseToken(shown.token ?? '').secret), Buffer.alloc(40, 5));
    assert.deepEqual(Buffer.from(readCredentialsFile(file).secret), Buffer.alloc(40, 5));
    const yaml = await tunnel('create', '-o', 'yaml', 'other');
    assert.equal((parse(yaml.stdout) as { tunnel: { name: string } }).tunnel.name, 'other');
  });

  it('create undoes what it cannot finish', async () => {
    writeFileSync(join(edge.home, 'taken.json'), '{}');
    const { code, stderr } = await tunnel('create', '--cred-file', 'taken.json', 'web');
    assert.equal(code, 2);
    assert.match(stderr, /deleted again: .*taken\.json already exists/);
    assert.equal(readFileSync(join(edge.home, 'taken.json'), 'utf8'), '{}');
    assert.match((await tunnel('list')).stdout, /^No tunnels were found/);
  });

  it('create says what is wrong', async () => {
    await create('web');
    const cases: readonly (readonly [string[], number, RegExp])[] = [
      [
        ['web'],
        1,
        /^failed to create tunnel: Create Tunnel API call failed: tunnel with name already exists \[api\.conflict\]\n {2}because: /,
      ],
      [[randomUUID()], 64, /^you cannot use UUIDs as tunnel names \[usage\.invalid\]\n/],
      [['--secret', 'c2hvcnQ=', 'x'], 64, /^Decoded tunnel secret must be at least 32 bytes long \[usage\.invalid\]\n/],
      [['--secret', '***', 'x'], 64, /base64/],
      [[], 64, /requires exactly 1 argument/],
      [['-o', 'xml', 'x'], 64, /^Unknown output format 'xml'/],
    ];
    for (const [argv, code, message] of cases) {
      const outcome = await tunnel('create', ...argv);
      assert.match(outcome.stderr, message);
      assert.equal(outcome.code, code);
    }
  });

  it('list shows tunnels with their connections by location', async () => {
    const web = await create('web');
    const db = await create('database');
    connect(web, ['lhr05', 'lhr01', 'lhr01', 'ams01?']);
    const { stdout } = await tunnel('list');
    const [hint, header, first, second, end] = stdout.split('\n');
    assert.equal(
      hint,
      'You can obtain more detailed information for each tunnel with `postern tunnel info <name/uuid>`',
    );
    assert.equal(header, `ID${' '.repeat(35)}NAME     CREATED              CONNECTIONS      `);
    assert.match(first ?? '', new RegExp(`^${db} database \\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ {18}$`));
    assert.match(second ?? '', new RegExp(`^${web} web      \\S+Z 2xlhr01, 1xlhr05 $`));
    assert.equal(end, '');
    assert.match((await tunnel('list', '-rd')).stdout, /1xams01, 2xlhr01, 1xlhr05/);
    const names = async (...argv: string[]): Promise<string[]> => {
      const outcome = await tunnel('list', '-o', 'json', ...argv);
      assert.equal(outcome.code, 0, outcome.stderr);
      return ((JSON.parse(outcome.stdout) as { name: string }[] | null) ?? []).map(({ name }) => name);
    };
    assert.deepEqual(await names(), ['database', 'web']);
    assert.deepEqual(await names('--invert-sort'), ['web', 'database']);
    assert.deepEqual(await names('--sort-by', 'numConnections'), ['database', 'web']);
    assert.deepEqual(await names('--name', 'web'), ['web']);
    assert.deepEqual(await names('-np', 'data'), ['database']);
    assert.deepEqual(await names('-enp', 'data'), ['web']);
    assert.deepEqual(await names('-i', web), ['web']);
    assert.deepEqual(await names('--when', '2000-01-01T00:00:00Z'), []);
    await tunnel('delete', 'database');
    assert.deepEqual(await names('-d'), ['database', 'web']);
    assert.deepEqual(await names(), ['web']);
    assert.match((await tunnel('list', '--sort-by', 'x')).stderr, /^x is not a valid sort field/);
    assert.equal((await tunnel('list', '--when', 'x')).code, 64);
  });

  it('info shows the connectors', async () => {
    const id = await create('web');
    assert.equal((await tunnel('info', 'web')).stdout, `Your tunnel ${id} does not have any active connection.\n`);
    const client = connect(id, ['lhr01', 'lhr01']);
    const { stdout } = await tunnel('info', id);
    const lines = stdout.split('\n');
    assert.deepEqual(lines.slice(0, 2), ['NAME:     web', `ID:       ${id}`]);
    assert.match(lines[2] ?? '', /^CREATED: {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000 UTC$/);
    assert.deepEqual(lines[3], '');
    assert.equal(lines[4], `CONNECTOR ID${' '.repeat(25)}CREATED              ARCHITECTURE VERSION ORIGIN IP EDGE    `);
    assert.equal(lines[5], `${client} 2026-01-02T00:00:00Z linux_amd64  1.2     192.0.2.9 2xlhr01 `);
    const json = JSON.parse((await tunnel('info', '-o', 'json', 'web')).stdout) as { id: string; conns: unknown[] };
    assert.deepEqual([json.id, json.conns.length], [id, 1]);
    const unknown = await tunnel('info', 'nothing');
    assert.deepEqual(unknown, {
      ...{
        code: 1,
        stdout: '',
        stderr: 'nothing is neither the ID nor the name of any of your tunnels [api.not-found]\n',
      },
    });
  });

  it('token prints the token or writes credentials', async () => {
    const id = await create('web');
    const { stdout } = await tunnel('token', 'web');
    const token = parseToken(stdout);
    assert.equal(await authenticateTunnel(edge.store, token), 'accepted');
    const file = join(edge.home, 'second.json');
    assert.deepEqual(await tunnel('token', '--cred-file', file, id), { code: 0, stdout: '', stderr: '' });
    assert.deepEqual(readCredentialsFile(file), token);
    assert.match((await tunnel('token', '--cred-file', file, id)).stderr, /already exists/);
  });

  it('token --rotate renews the credentials file of create, and no other', async () => {
    const id = await create('web');
    const file = join(edge.home, '.postern', `${id}.json`);
    const { stdout, stderr } = await tunnel('token', '--rotate', '--overlap', '0s', 'web');
    assert.deepEqual(readCredentialsFile(file), parseToken(stdout));
    assert.ok(stderr.includes(`${file} has the new credentials`), stderr);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const other = readFileSync(join(edge.home, '.postern', `${await create('other')}.json`), 'utf8');
    writeFileSync(file, other);
    assert.doesNotMatch((await tunnel('token', '--rotate', '--overlap', '0s', 'web')).stderr, /new credentials/);
    assert.equal(readFileSync(file, 'utf8'), other);
    writeFileSync(file, 'x');
    const odd = await tunnel('token', '--rotate', '--overlap', '0s', 'web');
    assert.match(odd.stderr, /still has the old credentials: .*is not valid JSON/);
    assert.deepEqual([odd.code, parseToken(odd.stdout).tunnelId], [0, id]);
    rmSync(file);
    assert.doesNotMatch((await tunnel('token', '--rotate', '--overlap', '0s', 'web')).stderr, /credentials/);
    assert.equal(existsSync(file), false);
    const alone = await tunnel('token', '--overlap', '1h', 'web');
    assert.deepEqual([alone.code, alone.stdout], [64, '']);
    assert.match(alone.stderr, /--overlap is of --rotate, which is not given/);
  });

  it('reload takes a name, and tells one that the API does not know apart', async () => {
    await create('web');
    const idle = await tunnel('reload', 'web');
    assert.deepEqual([idle.code, idle.stdout], [1, '']);
    assert.match(idle.stderr, /^No connector of tunnel web runs under this user/);
    assert.match((await tunnel('reload', 'wbe')).stderr, /^wbe is neither the ID nor the name of any of your tunnels/);
  });

  it('cleanup closes connections, and shows failures in its exit code', async () => {
    const id = await create('web');
    const done = { code: 0, stdout: 'Closed the connections of tunnel web\n', stderr: '' };
    assert.deepEqual(await tunnel('cleanup', 'web'), done);
    assert.deepEqual(edge.disconnected, [id]);
    const failed = await tunnel('cleanup', 'nothing', 'web');
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /nothing is neither/);
    assert.equal(edge.disconnected.length, 2);
  });

  it('delete removes tunnel and credentials, by force when connected', async () => {
    const id = await create('web');
    const file = join(edge.home, '.postern', `${id}.json`);
    connect(id, ['lhr01']);
    const refused = await tunnel('delete', 'web');
    assert.match(refused.stderr, /code: 1022/);
    assert.ok(existsSync(file));
    const done = { code: 0, stdout: `Deleted tunnel web with id ${id}\n`, stderr: '' };
    assert.deepEqual(await tunnel('delete', '-f', 'web'), done);
    assert.equal(existsSync(file), false);
    assert.match(
      (await tunnel('delete', id)).stderr,
      new RegExp(`^Tunnel ${id} has already been deleted \\[api\\.not-found\\]\n`),
    );
    assert.equal((await tunnel('delete')).code, 64);
  });

  it('need a credential, and say where it is looked for', async () => {
    const home = mkdtempSync(join(tmpdir(), 'postern-bare-'));
    try {
      const none = await runPostern(home, ['tunnel', 'list']);
      assert.equal(none.code, 2);
      assert.match(none.stderr, /no cert\.pem in .*\.postern .*--origincert/s);
      copyFileSync(join(edge.stateDir, 'cert.pem'), join(home, 'mine.pem'));
      assert.equal((await runPostern(home, ['tunnel', '--origincert', 'mine.pem', 'list'])).code, 0);
      const env = { TUNNEL_ORIGIN_CERT: join(home, 'mine.pem'), TUNNEL_API_URL: `${edge.apiUrl}/wrong` };
      const wrong = await runPostern(home, ['tunnel', 'list'], env);
      assert.match(wrong.stderr, /Error Parsing page 1: Failed to list tunnels: code: 7003/);
      assert.equal((await runPostern(home, ['tunnel', 'list', '--origincert', 'none.pem'])).code, 2);
    } finally {
      rmSync(home, { recursive: true });
    }
  });
});
