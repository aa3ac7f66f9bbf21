// A connector and an edge where the system gives little: no home, no resolver, no free descriptor, the first process of a
// container, a machine that slept. The real program each time.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { haveCommand } from '../../support/debian-package.ts';
import { asFirstProcess, fewDescriptors, lackingForFaults, withoutResolver } from '../../support/machine-faults.ts';
import { type Program, startProgram, temporaryDirectory } from '../../support/program.ts';
import { RawVisitor } from '../../support/raw-visitor.ts';
import { runPostern } from '../../support/run-cli.ts';
import { countOf, TunnelWorld } from '../../support/tunnel-world.ts';
import { until } from '../../support/wait.ts';

const run = promisify(execFile);
const skip = lackingForFaults() ?? false;

interface Start {
  readonly flags?: readonly string[];
  readonly prefix?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly url?: string;
  readonly edge?: string;
}

/** A connector of the world by its token, which is in the environment. */
async function connect(t: TestContext, world: TunnelWorld, start: Start): Promise<Program> {
  const { code, stdout, stderr } = await runPostern(world.home, ['tunnel', 'token', 'app']);
  assert.equal(code, 0, stderr);
  const { edge = `127.0.0.1:${world.connectorPort}`, env, flags = [], prefix = [] } = start;
  const url = start.url ?? `http://127.0.0.1:${world.originPort}`;
  return startProgram(
    t,
    ['tunnel', '--url', url, '--edge', edge, '--ha-connections', '1', '--grace-period', '1s', ...flags, 'run'],
    { home: world.home, prefix, env: { TUNNEL_TOKEN: stdout.trim(), ...env } },
  );
}

describe('a connector', { skip, timeout: 120_000 }, () => {
  it('needs no home, no user of a name and nothing that it may write', async t => {
    const world = await TunnelWorld.open(t);
    const nobody = ['setpriv', '--reuid=54321', '--regid=54321', '--clear-groups', 'env', '-u', 'HOME', '-C', '/'];
    const connector = await connect(t, world, { prefix: nobody, flags: ['--metrics', '127.0.0.1:0'] });
    await connector.logged(/Registered tunnel connection/);
    await world.untilServed('/');
    assert.equal(await connector.stop(), 0);
  });

  it('knows localhost where no resolver does', async t => {
    const world = await TunnelWorld.open(t);
    const connector = await connect(t, world, {
      prefix: withoutResolver,
      url: `http://localhost:${world.originPort}`,
      edge: `localhost:${world.connectorPort}`,
    });
    await connector.logged(/Starting metrics server on 127\.0\.0\.1:\d+\/metrics/);
    await connector.logged(/Registered tunnel connection/);
    await world.untilServed('/');
    assert.equal(await connector.stop(), 0);
  });

  it('serves as the first process, stops by a signal, and leaves no dead children', async t => {
    const world = await TunnelWorld.open(t);
    const connector = await connect(t, world, { prefix: asFirstProcess, flags: ['--metrics', '127.0.0.1:0'] });
    await connector.logged(/Registered tunnel connection/);
    await world.untilServed('/');
    const first = await firstProcess(connector.pid);
    // What a health check leaves behind: a child whose parent is gone.
    await run('nsenter', ['--target', String(first), '--pid', '--mount', 'sh', '-c', '(sleep 0.05 &) ; true']);
    await until('the orphan to be gone', async () => (await childrenOf(first)).length === 0, 10_000);
    process.kill(first, 'SIGTERM');
    assert.equal(await connector.exited, 0);
    assert.match(connector.log(), /Tunnel server stopped/);
  });

  it('refuses what needs a descriptor when there is none, and serves again when there are some', async t => {
    const world = await TunnelWorld.open(t, {
      origin: (request, response) => {
        if (request.url === '/held') response.write('begun');
        else response.end('done');
      },
    });
    const connector = await connect(t, world, {
      prefix: fewDescriptors(64),
      flags: ['--metrics', '127.0.0.1:0', '--loglevel', 'debug'],
    });
    await connector.logged(/Registered tunnel connection/);
    const held: RawVisitor[] = [];
    const host = 'Host: app.localhost';
    for (let count = 0; count < 80; count += 1) {
      const visitor = await RawVisitor.open(t, world.httpPort);
      visitor.send(`GET /held HTTP/1.1\r\n${host}\r\n\r\n`);
      held.push(visitor);
    }
    await until('every visitor to be answered', () => held.every(({ text }) => text.includes('\r\n\r\n')));
    const refused = held.filter(({ text }) => text.startsWith('HTTP/1.1 502'));
    assert.ok(refused.length > 10 && refused.length < 80, `${refused.length} refused`);
    assert.match(refused[0]?.text ?? '', /Its log names the cause/);
    await connector.logged(/ERR .*EMFILE.*no free descriptor: raise its limit/);
    const [, metrics = ''] = await connector.logged(/Starting metrics server on (\S+)\/metrics/);
    for (const visitor of held) visitor.socket.destroy();
    await world.untilServed('/');
    const health = await runPostern(world.home, ['healthcheck', '--metrics', metrics]);
    assert.equal(health.code, 0, health.stderr);
    assert.equal(countOf(connector, /Registered tunnel connection/g), 1);
    assert.equal(await connector.stop(), 0);
  });

  it('is back at once after its machine slept', async t => {
    const world = await TunnelWorld.open(t);
    const connector = await world.connect();
    connector.child.kill('SIGSTOP');
    await world.edge.logged(/Connector connection (lost|closed)/);
    connector.child.kill('SIGCONT');
    await until('another registration', () => countOf(connector, /Registered tunnel connection/g) === 2, 15_000);
    await world.untilServed('/');
    assert.equal(await connector.stop(), 0);
  });
});

/** Its library answers in the place of the system when a program asks for the time. */
const fakeTime = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';

describe('a clock that jumps', { skip, timeout: 120_000 }, () => {
  for (const [name, offset] of [
    ['an hour ahead', '+3600'],
    ['an hour back', '-3600'],
  ] as const) {
    it(`${name} ends no connection of a connector, and stops neither it nor its edge`, async t => {
      if (!existsSync(fakeTime)) haveCommand('faketime', ['faketime', 'libfaketime']);
      if (!existsSync(fakeTime)) return t.skip('not run here, lacking the package libfaketime');
      const clock = join(await temporaryDirectory(t), 'offset');
      await writeFile(clock, '+0');
      const faked = [
        ...['env', `LD_PRELOAD=${fakeTime}`, `FAKETIME_TIMESTAMP_FILE=${clock}`, 'FAKETIME_NO_CACHE=1'],
        ...['FAKETIME_DONT_FAKE_MONOTONIC=1', 'DONT_FAKE_MONOTONIC=1'],
      ];
      const world = await TunnelWorld.open(t, { edgePrefix: faked });
      const connector = await connect(t, world, { prefix: faked, flags: ['--metrics', '127.0.0.1:0'] });
      await connector.logged(/Registered tunnel connection/);
      await writeFile(clock, offset);
      await connector.logged(/The machine woke up or its network changed, checking connections change=clock-jump/);
      await world.untilServed('/');
      assert.equal(countOf(connector, /Registered tunnel connection/g), 1);
      assert.equal(countOf(connector, /Lost connection/g), 0);
      assert.equal(await connector.stop(), 0);
      assert.equal(await world.edge.stop(), 0);
    });
  }
});

describe('an edge', { skip, timeout: 120_000 }, () => {
  it('goes on when descriptors run out, and takes visitors again', async t => {
    const world = await TunnelWorld.open(t, { edgePrefix: fewDescriptors(96) });
    const connector = await world.connect();
    const visitors: RawVisitor[] = [];
    for (let count = 0; count < 120; count += 1) visitors.push(await RawVisitor.open(t, world.httpPort));
    for (const visitor of visitors) visitor.socket.destroy();
    await world.untilServed('/');
    assert.equal(await connector.stop(), 0);
    assert.equal(await world.edge.stop(), 0);
  });
});

/** The process that `unshare --fork` made. */
async function firstProcess(parent: number): Promise<number> {
  const text = await readFile(`/proc/${parent}/task/${parent}/children`, 'utf8');
  return Number(text.trim().split(' ')[0]);
}

async function childrenOf(pid: number): Promise<readonly string[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text
    .trim()
    .split(' ')
    .filter(child => child !== '');
}
