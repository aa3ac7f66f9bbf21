// Edges on a PostgreSQL database, as an operator starts them: two on one database, a database that is killed, and passwords.

import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, describe, it, type TestContext } from 'node:test';
import { noPostgres, startPostgres, type TestPostgres } from '../../test/support/postgres.ts';
import { type Program, startProgram, temporaryDirectory } from '../../test/support/program.ts';
import { RawVisitor } from '../../test/support/raw-visitor.ts';
import { readMetrics } from '../../test/support/read-metrics.ts';
import { runPostern } from '../../test/support/run-cli.ts';
import { until, within } from '../../test/support/wait.ts';

const server = await startPostgres();
after(() => server?.stop());
const options = { timeout: 120_000, skip: server === undefined ? noPostgres : false };
const anyPorts = ['--http-port', '0', '--https-port', '-1', '--connector-port', '0', '--api', '127.0.0.1:0'];

function postgres(): TestPostgres {
  return server ?? assert.fail();
}

interface RunningEdge {
  readonly program: Program;
  readonly home: string;
  readonly httpPort: number;
  readonly connectorPort: number;
  readonly metricsPort: number;
}

async function startEdge(t: TestContext, database: string, home: string): Promise<RunningEdge> {
  const env = { POSTERN_STORE: postgres().urlOf(database), PGPASSWORD: postgres().password };
  const program = startProgram(t, ['edge', 'run', ...anyPorts, '--metrics', '127.0.0.1:0'], { home, env });
  const portOf = async (what: string) => Number((await program.logged(new RegExp(`${what} address=\\S+:(\\d+)`)))[1]);
  const ports = {
    httpPort: await portOf('Listening for HTTP visitors'),
    connectorPort: await portOf('Listening for connectors'),
    metricsPort: await portOf('Serving metrics'),
  };
  await program.logged(/Edge ready/);
  return { program, home, ...ports };
}

/** A home whose edge has the keys of another edge's. */
async function homeBeside(t: TestContext, first: string, name = join('.postern', 'edge')): Promise<string> {
  const home = await temporaryDirectory(t);
  const stateDir = join(home, '.postern', 'edge');
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  for (const file of ['ca-key.pem', 'secret.key']) copyFileSync(join(first, name, file), join(stateDir, file));
  return home;
}

async function statusAt(t: TestContext, { httpPort }: RunningEdge, host: string): Promise<number> {
  const visitor = await RawVisitor.open(t, httpPort);
  visitor.send(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  await visitor.sees('\r\n\r\n');
  return Number(/^HTTP\/1\.1 (\d+)/.exec(visitor.text)?.[1]);
}

async function run(home: string, ...args: string[]): Promise<void> {
  const { code, stderr } = await runPostern(home, args);
  assert.equal(code, 0, stderr);
}

describe('edges on a PostgreSQL database', options, () => {
  it('see each other’s changes, and go on while the database is away', async t => {
    const database = await postgres().createDatabase();
    const first = await startEdge(t, database, await temporaryDirectory(t));
    const second = await startEdge(t, database, await homeBeside(t, first.home));
    await run(first.home, 'tunnel', 'create', 'web');
    await run(first.home, 'tunnel', 'route', 'dns', 'web', 'web.localhost');
    const edge = ['--edge', `127.0.0.1:${second.connectorPort}`];
    const connector = startProgram(t, ['tunnel', '--hello-world', '--metrics', '127.0.0.1:0', ...edge, 'run', 'web'], {
      home: first.home,
    });
    await connector.logged(/Registered tunnel connection/);
    await until('the route at the other edge', async () => (await statusAt(t, second, 'web.localhost')) === 200);

    await postgres().kill();
    assert.equal(await statusAt(t, second, 'web.localhost'), 200);
    const refused = await runPostern(first.home, ['tunnel', 'create', 'lost']);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /database of the edge does not answer: nothing was changed/);
    await first.program.logged(/ERR The database of the store is away: serving from memory/);
    const metrics = { host: '127.0.0.1', port: first.metricsPort };
    assert.equal((await readMetrics(metrics)).get('postern_store_reachable'), 0);
    const ready = await fetch(`http://127.0.0.1:${first.metricsPort}/ready`);
    assert.deepEqual([ready.status, ((await ready.json()) as { store: string }).store], [200, 'away']);

    await postgres().start();
    await first.program.logged(/INF The database of the store answers again/);
    await run(first.home, 'tunnel', 'create', 'later');
    await run(first.home, 'tunnel', 'route', 'dns', 'web', 'later.localhost');
    await until(
      'the second route at the other edge',
      async () => (await statusAt(t, second, 'later.localhost')) === 200,
    );
    assert.equal((await readMetrics(metrics)).get('postern_store_reachable'), 1);
    for (const { program } of [first, second]) {
      program.child.kill('SIGTERM');
      assert.equal(await within('the edge to end', program.exited), 0, program.log());
      assert.doesNotMatch(program.log(), new RegExp(postgres().password));
    }
  });

  it('take the password from a file, and never from the command line', async t => {
    const home = await temporaryDirectory(t);
    const database = await postgres().createDatabase();
    const refused = await runPostern(home, ['edge', 'run', '--store', postgres().urlWithPassword(database)]);
    assert.match(refused.stderr, /every user of this machine can read there.*--store-password-file/s);
    assert.doesNotMatch(refused.stderr, new RegExp(postgres().password));
    const file = join(home, 'password');
    const args = ['edge', 'run', ...anyPorts, '--store', postgres().urlOf(database), '--store-password-file', file];
    writeFileSync(file, 'wrong\n', { mode: 0o600 });
    const wrong = startProgram(t, args, { home });
    assert.equal(await within('the edge to end', wrong.exited), 1, wrong.log());
    assert.match(wrong.log(), /password authentication failed/);
    writeFileSync(file, `${postgres().password}\n`);
    const right = startProgram(t, args, { home });
    await right.logged(/Edge ready/);
    right.child.kill('SIGTERM');
    assert.equal(await within('the edge to end', right.exited), 0, right.log());
    const passFile = join(home, 'pgpass');
    writeFileSync(passFile, `*:*:${database}:postgres:${postgres().password}\n`, { mode: 0o600 });
    const byPassFile = startProgram(t, args.slice(0, -2), { home, env: { PGPASSFILE: passFile } });
    await byPassFile.logged(/Edge ready/);
  });

  it('copies a store to PostgreSQL and back with nothing lost, and into nothing that is not empty', async t => {
    const [home, database] = [await temporaryDirectory(t), await postgres().createDatabase()];
    const stateDir = join(home, 'first');
    const edge = startProgram(t, ['edge', 'run', ...anyPorts, '--state-dir', stateDir], { home });
    await edge.logged(/Edge ready/);
    for (const args of [
      ['tunnel', 'create', 'web'],
      ['tunnel', 'create', 'gone'],
      ['tunnel', 'delete', 'gone'],
      ['tunnel', 'route', 'dns', 'web', 'web.localhost'],
      ['tunnel', 'route', 'ip', 'add', '10.0.0.0/8', 'web', 'größer'],
      ['user', 'add', 'alice'],
      ['group', 'add', 'staff'],
      ['group', 'add-member', 'staff', 'alice'],
      ['device', 'add', '--user', 'alice', 'laptop'],
    ])
      await run(home, ...args);
    edge.child.kill('SIGTERM');
    assert.equal(await within('the edge to end', edge.exited), 0, edge.log());
    const passwordFile = join(home, 'password');
    writeFileSync(passwordFile, postgres().password, { mode: 0o600 });
    const copy = (from: string, to: string) =>
      runPostern(home, ['edge', 'store', 'copy', '--store-password-file', passwordFile, from, to]);
    const url = postgres().urlOf(database);
    const there = await copy(stateDir, url);
    assert.equal(there.code, 0, there.stderr);
    assert.match(there.stdout, /^2 tunnels$/m);
    const again = await copy(stateDir, url);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /is not empty: it has rows in accounts/);
    const back = await copy(url, join(home, 'second'));
    assert.equal(back.code, 0, back.stderr);
    assert.equal(back.stdout, there.stdout);
    assert.deepEqual(contentOf(join(home, 'second')), contentOf(stateDir));
    const missing = await copy(join(home, 'none'), url);
    assert.match(missing.stderr, /There is no database .*none/);
    // Ids of new rows go on after those that were copied.
    const moved = await startEdge(t, database, await homeBeside(t, home, 'first'));
    await run(moved.home, 'tunnel', 'create', 'new');
  });
});

/** Every row of the tables that are copied. */
function contentOf(stateDir: string): unknown {
  const content: Record<string, unknown> = {};
  for (const [file, skipped] of [
    ['edge.db', ['sqlite_sequence']],
    ['edge-presence.db', ['edges', 'clients']],
  ] as const) {
    using database = new DatabaseSync(join(stateDir, file));
    const names = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").all();
    for (const name of names.map(row => String(row.name)))
      if (!(skipped as readonly string[]).includes(name))
        content[name] = database.prepare(`SELECT * FROM ${name} ORDER BY 1, 2`).all();
  }
  return content;
}
