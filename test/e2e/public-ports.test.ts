// Public ports through the real programs, with PostgreSQL behind one, nginx as judge of the PROXY protocol, and socat as a
// UDP program.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, readdir, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { temporaryDirectory } from '../support/program.ts';
import { runPostern } from '../support/run-cli.ts';
import { haveTools } from '../support/tools.ts';
import { TunnelWorld } from '../support/tunnel-world.ts';
import { until } from '../support/wait.ts';

const run = promisify(execFile);
/** Below the ports that the system gives out by itself, and not those of other tests. */
const range = '15000-19999';

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

const answers = (port: number) => (): Promise<boolean> =>
  new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });

/** Starts a program that ends with the test. */
function start(t: TestContext, file: string, args: readonly string[]): void {
  const child = spawn(file, args, { stdio: 'ignore' });
  t.after(async () => {
    child.kill('SIGTERM');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
}

/** A PostgreSQL server of its own on loopback; returns its port. It does not run as root. */
async function startPostgres(t: TestContext): Promise<number> {
  const home = await temporaryDirectory(t);
  const [version = ''] = (await readdir('/usr/lib/postgresql')).toSorted().reverse();
  const bin = `/usr/lib/postgresql/${version}/bin`;
  const isRoot = process.getuid?.() === 0;
  const as = isRoot ? ['runuser', '-u', 'postgres', '--'] : [];
  const data = join(home, 'data');
  await mkdir(data);
  if (isRoot) {
    const { stdout } = await run('id', ['-u', 'postgres']);
    await chmod(home, 0o755);
    await chown(data, Number(stdout), -1);
  }
  const [first = '', ...rest] = [...as, `${bin}/initdb`, '-D', data, '-A', 'trust', '-U', 'postgres', '--no-sync'];
  await run(first, rest);
  const port = await freePort();
  const settings = ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'fsync=off'];
  const [file = '', ...args] = [...as, `${bin}/postgres`, '-D', data, '-p', String(port), ...settings];
  start(t, file, args);
  await until('PostgreSQL', answers(port));
  return port;
}

async function addPort(home: string, args: readonly string[]): Promise<number> {
  const { code, stdout, stderr } = await runPostern(home, ['tunnel', 'route', ...args]);
  assert.equal(code, 0, stderr);
  return Number(/port (\d+) leads to/.exec(stdout)?.[1]);
}

it('PostgreSQL is reached through a public port, also after the edge was restarted', async t => {
  if (!(await haveTools(t, 'pg_ctlcluster'))) return;
  const postgres = await startPostgres(t);
  const world = await TunnelWorld.open(t, { edgeFlags: ['--public-ports', range] });
  await world.connect({ flags: ['--url', `tcp://127.0.0.1:${postgres}`] });
  const port = await addPort(world.home, ['tcp', 'auto', 'app']);
  const psql = (sql: string) =>
    run('psql', ['-h', '127.0.0.1', '-p', String(port), '-U', 'postgres', '-Atc', sql], { timeout: 20_000 });
  assert.equal((await psql("SELECT length(repeat('x', 5000000))")).stdout, '5000000\n');
  const bench = ['-h', '127.0.0.1', '-p', String(port), '-U', 'postgres', 'postgres'];
  await run('pgbench', ['-i', '-q', ...bench], { timeout: 30_000 });
  const { stdout } = await run('pgbench', ['-c', '4', '-t', '25', ...bench], { timeout: 30_000 });
  assert.match(stdout, /number of transactions actually processed: 100\/100/);
  t.diagnostic(/tps = .*/.exec(stdout)?.[0] ?? '');
  await world.stopEdge('SIGTERM');
  await world.startEdge();
  await until('the port again', async () =>
    psql('SELECT 42').then(
      ({ stdout: out }) => out === '42\n',
      () => false,
    ),
  );
  const listed = await runPostern(world.home, ['tunnel', 'route', 'tcp', 'list']);
  assert.match(listed.stdout, new RegExp(`^${port} .*listening`, 'm'));
  const deleted = await runPostern(world.home, ['tunnel', 'route', 'tcp', 'delete', String(port)]);
  assert.equal(deleted.code, 0, deleted.stderr);
  await assert.rejects(psql('SELECT 1'), /Connection refused/);
  const audit = await runPostern(world.home, ['audit', '--output', 'json']);
  const actions = (JSON.parse(audit.stdout) as { action: string }[]).map(({ action }) => action);
  assert.deepEqual(actions.slice(0, 2), ['delete public port', 'add public port']);
});

it('nginx understands the PROXY protocol of both versions', async t => {
  if (!(await haveTools(t, 'nginx', 'curl'))) return;
  const home = await temporaryDirectory(t);
  const nginx = await freePort();
  const config = `daemon off; master_process off; pid ${home}/pid; error_log ${home}/error.log;
events {}
http {
  access_log off;
  client_body_temp_path ${home}; proxy_temp_path ${home}; fastcgi_temp_path ${home}; uwsgi_temp_path ${home};
  scgi_temp_path ${home};
  server {
    listen 127.0.0.1:${nginx} proxy_protocol;
    location / { return 200 "$proxy_protocol_addr:$proxy_protocol_port $proxy_protocol_server_port"; }
  }
}`;
  await writeFile(join(home, 'nginx.conf'), config);
  start(t, 'nginx', ['-e', join(home, 'error.log'), '-c', join(home, 'nginx.conf')]);
  await until('nginx', answers(nginx));
  const world = await TunnelWorld.open(t, { edgeFlags: ['--public-ports', range] });
  await world.connect({ flags: ['--url', `tcp://127.0.0.1:${nginx}`] });
  for (const version of ['v1', 'v2']) {
    const port = await addPort(world.home, ['tcp', 'auto', 'app', '--proxy-protocol', version]);
    const format = '\n%{local_ip}:%{local_port} %{remote_port}';
    const { stdout } = await run('curl', ['-s', '-w', format, `http://127.0.0.1:${port}/`], { timeout: 20_000 });
    const [seen, own] = stdout.split('\n');
    assert.equal(seen, own, version);
  }
});

it('a UDP program is reached through a public port', async t => {
  if (!(await haveTools(t, 'socat'))) return;
  const origin = await freePort();
  start(t, 'socat', [`UDP4-RECVFROM:${origin},bind=127.0.0.1,fork`, 'SYSTEM:tr a-z A-Z']);
  const world = await TunnelWorld.open(t, { edgeFlags: ['--public-ports', range] });
  await world.connect({ protocol: 'quic', flags: ['--allow-destination', '127.0.0.1/32'] });
  const port = await addPort(world.home, ['udp', 'auto', 'app', '--to', `127.0.0.1:${origin}`]);
  await until('an answer', async () => {
    const { stdout } = await run('sh', ['-c', `echo hello | socat -t 2 - UDP4:127.0.0.1:${port}`], { timeout: 20_000 });
    return stdout === 'HELLO\n';
  });
});
