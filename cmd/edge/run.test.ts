// `edge run` as a user starts it: where it cannot write, beside other edges, and what it says when it cannot go on.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { connect } from 'node:tls';
import { parseOriginCert } from '../../internal/credentials/origin-cert.ts';
import { parseToken } from '../../internal/credentials/tunnel-token.ts';
import { listenTcp } from '../../internal/net/stream/listen-tcp.ts';
import { type Program, startProgram, temporaryDirectory } from '../../test/support/program.ts';
import { runPostern } from '../../test/support/run-cli.ts';
import { createTestCa } from '../../test/support/test-ca.ts';
import { until, within } from '../../test/support/wait.ts';

const anyPorts = ['--http-port', '0', '--connector-port', '0', '--api', '127.0.0.1:0'];
const stack = /^\s+at /m;
const isRoot = process.platform === 'linux' && process.getuid?.() === 0;
/** Words that run a program as a user whom no system lists. */
const asStranger = ['setpriv', '--reuid=4123456', '--clear-groups'];
const stranger =
  isRoot && spawnSync(asStranger[0] ?? '', [...asStranger.slice(1), 'test', '-r', import.meta.filename]).status === 0
    ? false
    : 'becoming a user who can read this checkout takes root on Linux';

interface StartOptions {
  readonly home: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly prefix?: readonly string[];
}

function startEdge(t: TestContext, { home, args = [], env = {}, prefix = [] }: StartOptions): Program {
  return startProgram(t, ['edge', 'run', ...anyPorts, '--https-port', '-1', ...args], { home, env, prefix });
}

async function apiUrlOf(edge: Program): Promise<string> {
  const [, url = ''] = await edge.logged(/Listening for API calls url=(\S+)/);
  await edge.logged(/Edge ready/);
  return url;
}

async function stop(edge: Program): Promise<void> {
  edge.child.kill('SIGTERM');
  assert.equal(await within('the edge to end', edge.exited), 0, edge.log());
}

async function exitOf(edge: Program): Promise<number | string> {
  const code = await within('the edge to end', edge.exited);
  assert.doesNotMatch(edge.log(), stack);
  return code;
}

/** Words that run a program with `directory` as a file system of its own, mounted with `options`. */
function mounted(directory: string, options: string): readonly string[] {
  return ['unshare', '-m', 'sh', '-c', `mount -t tmpfs -o ${options} none ${directory} && exec "$@"`, 'sh'];
}

describe('edge run', { timeout: 120_000 }, () => {
  for (const place of ['/dev/null', '/proc']) {
    it(`runs with ${place} for a home when its state has another place`, async t => {
      const home = await temporaryDirectory(t);
      const edge = startEdge(t, { home, env: { HOME: place }, args: ['--state-dir', join(home, 'state')] });
      await apiUrlOf(edge);
      assert.match(edge.log(), /WRN Commands will not find this edge by themselves/);
      await stop(edge);
      assert.doesNotMatch(edge.log(), stack);
    });

    it(`says what is wrong when its state would be below ${place}`, async t => {
      const edge = startEdge(t, { home: await temporaryDirectory(t), env: { HOME: place } });
      assert.equal(await exitOf(edge), 1);
      assert.match(
        edge.log(),
        /state directory \S+edge cannot be used: name another with --state-dir \[file\.failed\]\n {2}because: /,
      );
    });
  }

  it('runs for a user without a home and without an entry in the list of users', { skip: stranger }, async t => {
    const home = await temporaryDirectory(t);
    chmodSync(home, 0o777);
    const prefix = ['env', '-u', 'HOME', ...asStranger];
    const version = startProgram(t, ['version'], { home, prefix });
    assert.equal(await exitOf(version), 0, version.log());
    const edge = startEdge(t, { home, prefix, args: ['--state-dir', 'state'] });
    await apiUrlOf(edge);
    assert.match(edge.log(), /WRN Commands will not find this edge by themselves/);
    await stop(edge);
  });

  it('says so when its state directory is a file, and when its log file cannot be', async t => {
    const home = await temporaryDirectory(t);
    writeFileSync(join(home, 'file'), '');
    symlinkSync('circle', join(home, 'circle'));
    const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
      [['--state-dir', 'file'], 1, /cannot be used.*\n {2}because: It is a file/],
      [['--state-dir', 'circle'], 1, /cannot be used.*\n(?: {2}because: .*\n)* {2}because: .*ELOOP/],
      [['--logfile', '/proc/postern/log'], 3, /^Log file \/proc\/postern\/log cannot be opened/],
      [['--log-directory', '/proc/postern/log'], 3, /cannot be opened/],
    ];
    for (const [args, code, text] of cases) {
      const edge = startEdge(t, { home, args });
      assert.equal(await exitOf(edge), code, edge.log());
      assert.match(edge.log(), text);
    }
  });

  it('names the flag of a port that another program has', async t => {
    const home = await temporaryDirectory(t);
    const other = createServer();
    t.after(() => other.close());
    const port = `${await listenTcp(other, '127.0.0.1', 0)}`;
    for (const flag of ['connector-port', 'http-port', 'https-port']) {
      const edge = startEdge(t, { home, args: [`--${flag}`, port] });
      assert.equal(await exitOf(edge), 1, edge.log());
      assert.match(
        edge.log(),
        new RegExp(`^Cannot listen for .*\\(--${flag}\\) on \\S+:${port} \\(EADDRINUSE\\)`, 'm'),
      );
    }
  });

  it('says why its database cannot be used', async t => {
    const home = await temporaryDirectory(t);
    mkdirSync(join(home, 'state'));
    writeFileSync(join(home, 'state', 'edge.db'), 'not a database'.repeat(1_000));
    const edge = startEdge(t, { home, args: ['--state-dir', 'state'] });
    assert.equal(await exitOf(edge), 1);
    assert.match(edge.log(), /edge\.db failed \[store\.failed\]\n {2}because: file is not a database\n/);
    const json = startEdge(t, { home, args: ['--state-dir', 'state', '--output', 'json'] });
    assert.equal(await exitOf(json), 1);
    const { error } = JSON.parse(json.log()) as { error: { causes: string[] } };
    assert.deepEqual(error.causes, ['file is not a database']);
  });

  const mounts = isRoot ? false : 'mounting takes root on Linux';
  it('ends with a reason when the disk is full at its first start', { skip: mounts }, async t => {
    const home = await temporaryDirectory(t);
    mkdirSync(join(home, 'state'));
    // Full at the first file, at the database, and somewhere in between.
    for (const pages of [1, 3, 6, 12]) {
      const prefix = mounted(join(home, 'state'), `size=${pages * 4}k`);
      const edge = startEdge(t, { home, prefix, args: ['--state-dir', 'state'] });
      assert.equal(await exitOf(edge), 1, `${pages} pages: ${edge.log()}`);
      assert.match(edge.log(), /because: .*(no space|full|I\/O|short)/, `${pages} pages`);
    }
  });

  it('ends with a reason on a file system that is read-only, and runs with state elsewhere', {
    skip: mounts,
  }, async t => {
    const home = await temporaryDirectory(t);
    mkdirSync(join(home, '.postern'));
    const prefix = mounted(join(home, '.postern'), 'ro');
    const edge = startEdge(t, { home, prefix });
    assert.equal(await exitOf(edge), 1, edge.log());
    assert.match(edge.log(), /cannot be used.*\n(.*\n)*.*because: EROFS/);
    const elsewhere = startEdge(t, { home, prefix, args: ['--state-dir', 'state'] });
    await apiUrlOf(elsewhere);
    await stop(elsewhere);
  });

  it('calls a port or a listener that cannot be a mistake of the command line, and names the flag', async t => {
    const home = await temporaryDirectory(t);
    for (const [args, text] of [
      [['--http-port', '99999'], /^--http-port 99999 is not a port/],
      [['--api', 'nonsense'], /^--api must be HOST:PORT/],
      [['--domain', 'a b'], /^--domain "a b" is not a domain/],
    ] as const) {
      const { code, stderr } = await runPostern(home, ['edge', 'run', ...args]);
      assert.equal(code, 64);
      assert.match(stderr, text);
    }
  });

  it('ends with a reason when a listener cannot be had', async t => {
    const home = await temporaryDirectory(t);
    const first = startEdge(t, { home });
    const { port } = new URL(await apiUrlOf(first));
    const second = startEdge(t, { home, args: ['--state-dir', 'other', '--metrics', `127.0.0.1:${port}`] });
    assert.equal(await exitOf(second), 1);
    assert.match(second.log(), /EADDRINUSE/);
    await stop(first);
  });

  it('is found by commands while another edge of the user comes and goes', async t => {
    const home = await temporaryDirectory(t);
    const first = startEdge(t, { home });
    await apiUrlOf(first);
    const second = startEdge(t, { home, args: ['--state-dir', 'second'] });
    await apiUrlOf(second);
    assert.match(second.log(), /WRN Commands reach the edge that was here first/);
    const names = async (env: Record<string, string> = {}): Promise<readonly string[]> => {
      const { stdout, stderr, code } = await runPostern(home, ['tunnel', 'list', '--output', 'json'], env);
      assert.equal(code, 0, stderr);
      return (JSON.parse(stdout) as { name: string }[]).map(({ name }) => name);
    };
    assert.equal((await runPostern(home, ['tunnel', 'create', 'one'])).code, 0);
    const there = { POSTERN_STATE_DIR: join(home, 'second') };
    assert.equal((await runPostern(home, ['tunnel', 'create', 'two'], there)).code, 0);
    assert.deepEqual(await names(), ['one']);
    assert.deepEqual(await names(there), ['two']);
    await stop(second);
    assert.deepEqual(await names(), ['one']);
    const gone = await runPostern(home, ['tunnel', 'list'], { POSTERN_STATE_DIR: join(home, 'none') });
    assert.match(gone.stderr, /no cert\.pem in \S+none \(POSTERN_STATE_DIR\)/);
    await stop(first);
  });

  it('leaves the address of the edge that was first on its state directory, and takes its place', async t => {
    const home = await temporaryDirectory(t);
    const certUrl = (): string | undefined =>
      parseOriginCert(readFileSync(join(home, '.postern', 'edge', 'cert.pem'), 'utf8')).apiUrl;
    const first = startEdge(t, { home });
    const firstUrl = await apiUrlOf(first);
    const second = startEdge(t, { home });
    const secondUrl = await apiUrlOf(second);
    assert.notEqual(firstUrl, secondUrl);
    assert.equal(certUrl(), firstUrl);
    assert.match(second.log(), /WRN Another edge runs on this state directory/);
    await stop(first);
    await until('commands to find the second', async () => (await runPostern(home, ['tunnel', 'list'])).code === 0);
    await stop(second);
    // Nobody answers at the old address any more.
    const third = startEdge(t, { home });
    const thirdUrl = await apiUrlOf(third);
    assert.equal(certUrl(), thirdUrl);
    await stop(third);
  });

  it('has its credential found in its usual place without a pointer', async t => {
    const home = await temporaryDirectory(t);
    const edge = startEdge(t, { home, env: { HOME: '/proc' }, args: ['--state-dir', join(home, '.postern', 'edge')] });
    await apiUrlOf(edge);
    const { code, stderr } = await runPostern(home, ['tunnel', 'list']);
    assert.equal(code, 0, stderr);
    await stop(edge);
  });

  it('gives out tokens that name the address it listens on', async t => {
    const home = await temporaryDirectory(t);
    const edge = startEdge(t, { home, args: ['--connector-host', '::1'] });
    await apiUrlOf(edge);
    assert.equal((await runPostern(home, ['tunnel', 'create', 'six'])).code, 0);
    const { edge: addresses } = parseToken((await runPostern(home, ['tunnel', 'token', 'six'])).stdout.trim());
    assert.match(addresses?.join() ?? '', /^\[::1\]:\d+$/);
    await stop(edge);
  });

  it('reads certificate files again at SIGHUP', async t => {
    const home = await temporaryDirectory(t);
    const ca = await createTestCa();
    const write = async (name: string): Promise<void> => {
      const { cert, key } = await ca.issue([name]);
      writeFileSync(join(home, 'cert.pem'), cert);
      writeFileSync(join(home, 'key.pem'), key);
    };
    await write('one.example');
    const args = ['--https-port', '0', '--cert', 'cert.pem', '--key', 'key.pem'];
    const edge = startEdge(t, { home, args });
    const port = Number((await edge.logged(/Listening for HTTPS visitors address=\S+:(\d+)/))[1]);
    await edge.logged(/Edge ready/);
    const serves = (servername: string): Promise<boolean> =>
      new Promise(resolve => {
        const socket = connect({ host: '127.0.0.1', port, ca: ca.cert, servername }, () => {
          socket.destroy();
          resolve(true);
        });
        socket.once('error', () => resolve(false));
      });
    assert.ok(await serves('one.example'));
    await write('two.example');
    edge.child.kill('SIGHUP');
    await edge.logged(/read again due to SIGHUP/);
    assert.ok(await serves('two.example'));
    await stop(edge);
  });
});

describe('tunnel run', { timeout: 120_000 }, () => {
  it('by name waits for an edge that comes up later', async t => {
    const home = await temporaryDirectory(t);
    const first = startEdge(t, { home });
    const { port } = new URL(await apiUrlOf(first));
    assert.equal((await runPostern(home, ['tunnel', 'create', 'late'])).code, 0);
    await stop(first);
    // The last flag counts.
    const edgeArgs = ['--api', `127.0.0.1:${port}`];
    const connectorArgs = ['tunnel', '--hello-world', '--metrics', '127.0.0.1:0'];
    const connector = startProgram(t, [...connectorArgs, 'run', 'late'], { home });
    await connector.logged(/WRN The API does not answer, retrying/);
    const second = startEdge(t, { home, args: edgeArgs });
    await apiUrlOf(second);
    await connector.logged(/Starting tunnel/);
    connector.child.kill('SIGTERM');
    await within('the connector to end', connector.exited);
    await stop(second);
  });

  it('ends in order when its pid file cannot be removed', async t => {
    const home = await temporaryDirectory(t);
    const edge = startEdge(t, { home });
    await apiUrlOf(edge);
    assert.equal((await runPostern(home, ['tunnel', 'create', 'one'])).code, 0);
    const args = ['tunnel', '--hello-world', '--metrics', '127.0.0.1:0', '--pidfile', '/dev/null/pid', 'run', 'one'];
    const connector = startProgram(t, args, { home });
    await connector.logged(/ERR Unable to write pid to \/dev\/null\/pid/);
    connector.child.kill('SIGTERM');
    assert.equal(await exitOf(connector), 0, connector.log());
    await stop(edge);
  });
});
