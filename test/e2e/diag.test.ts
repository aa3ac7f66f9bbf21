// `postern tunnel diag` against real connectors: what is in the bundle, what is not, and where the log is taken from.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { createNamespaces } from '../support/namespaces.ts';
import { startProgram, temporaryDirectory } from '../support/program.ts';
import { type CliOutcome, runPostern } from '../support/run-cli.ts';
import { TunnelWorld } from '../support/tunnel-world.ts';

const run = promisify(execFile);
/** Leaves out what takes seconds. */
const quick = ['--no-diag-runtime', '--no-diag-network'];

/** Unpacks the one bundle of a directory by another program than the one that made it; names of files to their bytes. */
async function unpack(directory: string): Promise<Map<string, Buffer>> {
  const bundles = (await readdir(directory)).filter(name => name.startsWith('postern-diag-'));
  assert.equal(bundles.length, 1, String(bundles));
  const path = join(directory, bundles[0] ?? '');
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  await run('python3', [
    '-c',
    'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])',
    path,
    join(directory, 'x'),
  ]);
  const names = await readdir(join(directory, 'x'));
  return new Map(
    await Promise.all(names.map(async name => [name, await readFile(join(directory, 'x', name))] as const)),
  );
}

async function diagnose(
  t: TestContext,
  metrics: string,
  { flags = [], env = {} }: { flags?: readonly string[]; env?: Record<string, string> } = {},
): Promise<CliOutcome & { files: Map<string, Buffer> }> {
  const home = await temporaryDirectory(t);
  const outcome = await runPostern(home, ['tunnel', '--metrics', metrics, 'diag', ...flags], env);
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.match(outcome.stderr, /INF Diagnostic file written: postern-diag-\S+\.zip\n/);
  return { ...outcome, files: await unpack(home) };
}

const resultsOf = (files: Map<string, Buffer>): Record<string, { result: string; error?: string }> =>
  JSON.parse(String(files.get('task-result.json')));

describe('postern tunnel diag', { timeout: 120_000 }, () => {
  it('bundles what a running connector and its machine tell, without secrets', async t => {
    const world = await TunnelWorld.open(t);
    const bin = await programs(t, {
      traceroute: 'echo " 1  gw (10.0.0.1)  0.345 ms  *  0.2 ms"; echo " 2  * * *"',
    });
    const env = { PATH: `${bin}:${process.env.PATH}` };
    const credentials: { TunnelSecret: string } = JSON.parse(await readFile(join(world.home, 'tunnel.json'), 'utf8'));
    const connector = startProgram(
      t,
      [
        ...['tunnel', '--url', `http://bob:hunter2@127.0.0.1:${world.originPort}`, '--logfile', 'log.txt'],
        ...['--edge', `127.0.0.1:${world.connectorPort}`, '--ha-connections', '1', '--loglevel', 'debug'],
        ...['--metrics', '127.0.0.1:0', 'run', '--credentials-file', 'tunnel.json', 'app'],
      ],
      { home: world.home },
    );
    await connector.logged(/Registered tunnel connection/);
    await world.get('/?password=swordfish');
    const [, metrics = ''] = await connector.logged(/Starting metrics server on (\S+)\/metrics/);

    const { files, stderr } = await diagnose(t, metrics, { env });
    assert.match(stderr, /INF Diagnostic completed\n$/);
    assert.deepEqual([...files.keys()].sort(), [
      ...['cli-configuration.json', 'cloudflared_logs.txt', 'configuration.json', 'cpu.pprof', 'goroutine.pprof'],
      ...['heap.pprof', 'metrics.txt', 'network.json', 'prechecks.json', 'raw-network.txt', 'systeminformation.json'],
      ...['task-result.json', 'tunnelstate.json'],
    ]);
    for (const [job, { result }] of Object.entries(resultsOf(files))) assert.equal(result, 'success', job);
    const state = JSON.parse(String(files.get('tunnelstate.json')));
    assert.deepEqual(state.connections, [{ isConnected: true, protocol: 1, edgeAddress: '127.0.0.1' }]);
    assert.deepEqual(JSON.parse(String(files.get('network.json'))), {
      '127.0.0.1-v4': [
        { hop: 1, domain: 'gw (10.0.0.1)', rtts: [345, 200] },
        { hop: 2, domain: '*' },
      ],
    });
    assert.equal(JSON.parse(String(files.get('prechecks.json'))).hardFail, false);
    assert.match(String(files.get('metrics.txt')), /cloudflared_tunnel_total_requests 1/);
    assert.match(String(files.get('cloudflared_logs.txt')), /Registered tunnel connection/);
    assert.equal(files.get('heap.pprof')?.subarray(0, 2).toString('hex'), '1f8b');
    for (const [name, bytes] of files)
      for (const secret of [credentials.TunnelSecret, 'hunter2', 'swordfish'])
        assert.ok(!bytes.includes(secret), `${name} holds ${secret}`);

    const less = await diagnose(t, metrics, {
      flags: [...quick, '--no-diag-logs', '--no-diag-metrics', '--no-diag-system'],
    });
    const kept = ['cli-configuration.json', 'configuration.json', 'task-result.json', 'tunnelstate.json'];
    assert.deepEqual([...less.files.keys()].sort(), kept);
  });

  it('takes the log of a container or pod from its own system', async t => {
    const world = await TunnelWorld.open(t);
    const connector = await world.connect({ flags: ['--management-diagnostics=false'] });
    const [, metrics = ''] = await connector.logged(/Starting metrics server on (\S+)\/metrics/);
    const bin = await programs(t, { docker: 'echo "docker $@"', kubectl: 'echo "kubectl $@"; exit 3' });
    const env = { PATH: `${bin}:${process.env.PATH}` };
    const ofDocker = await diagnose(t, metrics, { env, flags: [...quick, '--diag-container-id', 'web'] });
    assert.match(
      String(ofDocker.files.get('cloudflared_logs.txt')),
      /^docker logs --tail 10000 --since \d{4}-\S+Z web\n$/,
    );
    // Turned off at the connector, but the log and its metrics are there.
    assert.match(resultsOf(ofDocker.files)['tunnel state']?.error ?? '', /\/diag\/tunnel answers 404/);
    assert.ok(ofDocker.files.has('metrics.txt'));
    const flags = [...quick, '--diag-pod-id', 'pod-1', '--diag-container-id', 'c'];
    const ofPod = await diagnose(t, metrics, { env, flags });
    assert.match(
      resultsOf(ofPod.files)['log information']?.error ?? '',
      /it ended with 3: kubectl logs pod-1 --since-time \S+ --tail 10000 -c c$/,
    );
    assert.match(ofPod.stderr, /WRN Diagnostic completed with one or more errors/);
    const home = await temporaryDirectory(t);
    const injected = await runPostern(home, ['tunnel', 'diag', '--diag-container-id=--help']);
    assert.equal(injected.code, 64);
  });

  it('reads no file of another user for a connector', { skip: process.getuid?.() !== 0 }, async t => {
    const world = await TunnelWorld.open(t);
    const connector = await world.connect({ flags: ['--logfile', 'log.txt'] });
    const [, metrics = ''] = await connector.logged(/Starting metrics server on (\S+)\/metrics/);
    await run('chown', ['12345', join(world.home, 'log.txt')]);
    const { files } = await diagnose(t, metrics, { flags: quick });
    assert.ok(!files.has('cloudflared_logs.txt'));
    assert.match(
      resultsOf(files)['log information']?.error ?? '',
      /belongs to user 12345, and the connector is user 0's/,
    );
  });

  it('names the connectors when there are several, and says when there is none', async t => {
    const spaces = createNamespaces();
    if ('lacking' in spaces) return t.skip(spaces.lacking);
    t.after(() => spaces.remove());
    const world = await TunnelWorld.open(t);
    const prefix = ['ip', 'netns', 'exec', spaces.connector];
    const diag = async (code: number): Promise<string> => {
      const program = startProgram(t, ['tunnel', 'diag', ...quick], { home: await temporaryDirectory(t), prefix });
      assert.equal(await program.exited, code);
      return program.log();
    };
    assert.match(await diag(1), /No instances found: no connector answers on ports 20241 to 20245/);
    const start = async (): Promise<void> => {
      const args = [
        'tunnel',
        '--hello-world',
        '--edge',
        '127.0.0.1:9',
        'run',
        '--credentials-file',
        'tunnel.json',
        'app',
      ];
      await startProgram(t, args, { home: world.home, prefix }).logged(/Starting metrics server/);
    };
    await start();
    assert.match(await diag(0), /INF Selected server http:\/\/localhost:20241 starting diagnostic/);
    await start();
    assert.match(
      await diag(1),
      /INF Found multiple instances running:\n(.*INF Instance: tunnel-id=\S+ connector-id=\S+ metrics-address=http:\/\/localhost:2024[12]\n){2}.*to select one instance use the option --metrics/,
    );
  });
});

/** A directory with shell scripts of these names. */
async function programs(t: TestContext, scripts: Readonly<Record<string, string>>): Promise<string> {
  const directory = join(await temporaryDirectory(t), 'bin');
  await mkdir(directory);
  for (const [name, script] of Object.entries(scripts)) {
    await writeFile(join(directory, name), `#!/bin/sh\n${script}\n`);
    await chmod(join(directory, name), 0o755);
  }
  return directory;
}
