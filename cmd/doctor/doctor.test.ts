// `postern doctor`, and the same checks beside a connector that starts, against real edges and ports where nobody listens.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { checkReceiveBuffers } from '../../internal/connector/prechecks/machine-checks.ts';
import { encodeToken } from '../../internal/credentials/tunnel-token.ts';
import { spkiPin } from '../../internal/net/trust/spki-pin.ts';
import { openTestControlPlane } from '../../test/support/control-plane.ts';
import { EdgeWorld } from '../../test/support/edge-world.ts';
import { startProgram, temporaryDirectory } from '../../test/support/program.ts';
import { runPostern } from '../../test/support/run-cli.ts';
import { openTcpRelay } from '../../test/support/tcp-relay.ts';

interface Report {
  readonly code: number;
  readonly hardFail: boolean;
  readonly suggestedProtocol?: string;
  readonly checks: readonly {
    readonly component: string;
    readonly target: string;
    readonly status: string;
    readonly details: string;
    readonly remedy?: string;
  }[];
}

async function doctor(home: string, ...argv: string[]): Promise<Report> {
  const { code, stdout, stderr } = await runPostern(home, ['doctor', '--output', 'json', ...argv]);
  assert.equal(stderr, '');
  return { ...(JSON.parse(stdout) as Report), code };
}

const of = ({ checks }: Report, component: string) =>
  checks.find(check => check.component === component) ?? assert.fail(`no ${component}: ${JSON.stringify(checks)}`);
const statuses = ({ checks }: Report): string =>
  checks.map(({ component, status }) => `${component} ${status}`).join(', ');

/** A token whose edge is that of the world, with the pin of its CA or another one. */
async function tokenFile(t: TestContext, world: EdgeWorld, caPin?: string): Promise<string> {
  const tunnel = await world.makeTunnel();
  const edge = [`127.0.0.1:${world.edge.connectorPort}`];
  const path = join(await temporaryDirectory(t), 'token');
  const { accountTag, id: tunnelId, secret } = tunnel;
  await writeFile(
    path,
    encodeToken({ accountTag, tunnelId, secret, edge, caPin: caPin ?? spkiPin(new X509Certificate(world.edge.caPem)) }),
    { mode: 0o600 },
  );
  return path;
}

describe('postern doctor', () => {
  it('finds the way to an edge clear', async t => {
    const world = await EdgeWorld.open(t);
    const report = await doctor(await temporaryDirectory(t), '--token-file', await tokenFile(t, world));
    assert.deepEqual(
      [report.code, report.hardFail, report.suggestedProtocol],
      [0, false, 'quic'],
      JSON.stringify(report),
    );
    assert.match(
      statuses(report),
      /^Config File skip, Credentials pass, DNS Resolution pass, UDP Connectivity pass, Path MTU pass, TCP Connectivity pass, TLS and Trust pass, Clock pass, UDP Buffers (pass|fail)$/,
    );
    // Nobody is told of probes as if they were connectors that failed.
    assert.deepEqual(
      world.lines.filter(({ level }) => level === 'warn' || level === 'error'),
      [],
    );
    await world.edge.stop();
  });

  it('says that UDP is blocked, and that HTTP/2 passes', async t => {
    const world = await EdgeWorld.open(t);
    const relay = await openTcpRelay({ host: '127.0.0.1', port: world.edge.connectorPort });
    t.after(() => relay.close());
    const argv = ['--token-file', await tokenFile(t, world), '--edge', `127.0.0.1:${relay.port}`];
    const report = await doctor(await temporaryDirectory(t), ...argv);
    assert.deepEqual([report.code, report.suggestedProtocol], [0, 'http2'], JSON.stringify(report));
    assert.match(
      of(report, 'UDP Connectivity').remedy ?? '',
      /allow outbound UDP to 127\.0\.0\.1:\d+, or use --protocol http2/,
    );
  });

  it('says that the edge is another one than the token pins', async t => {
    const world = await EdgeWorld.open(t);
    const report = await doctor(
      await temporaryDirectory(t),
      '--token-file',
      await tokenFile(t, world, 'ab'.repeat(32)),
    );
    assert.deepEqual([report.code, report.hardFail], [1, true], JSON.stringify(report));
    assert.deepEqual([of(report, 'TCP Connectivity').status, of(report, 'TLS and Trust').status], ['pass', 'fail']);
    assert.match(of(report, 'TLS and Trust').details, /did not present the certificate authority that the token pins/);
  });

  it('draws the table of the stock program, framed', async t => {
    const { code, stdout } = await runPostern(await temporaryDirectory(t), [
      'doctor',
      '--edge',
      'nowhere.invalid:7844',
    ]);
    assert.equal(code, 1);
    const lines = stdout.trimEnd().split('\n');
    assert.equal(new Set(lines.map(line => line.length)).size, 1, stdout);
    assert.match(stdout, /\| {2}COMPONENT {7}TARGET {16}STATUS {2}DETAILS +\|/);
    assert.match(stdout, /DNS Resolution {2}nowhere\.invalid:7844 {2}FAIL {4}/);
    assert.match(stdout, /ERROR: check this machine's resolver[\s\S]*SUMMARY: Environment has critical failures/);
  });

  it('names what is wrong with config file and credentials', async t => {
    const home = await temporaryDirectory(t);
    await writeFile(join(home, 'bad.yml'), 'ingress: 5\n');
    const config = await doctor(home, '--config', 'bad.yml');
    assert.deepEqual([config.code, of(config, 'Config File').status], [1, 'fail']);
    await writeFile(join(home, 'cut'), 'x', { mode: 0o600 });
    const cut = await doctor(home, '--token-file', 'cut');
    assert.match(of(cut, 'Credentials').details, /it is not base64/);
    const missing = await doctor(home, '11111111-2222-3333-4444-555555555555');
    assert.match(of(missing, 'Credentials').remedy ?? '', /Name it with the flag/);
  });

  it('asks the API for names, tells an unknown one apart, and checks each tunnel of a file', async t => {
    await using plane = await openTestControlPlane();
    const { home } = plane;
    for (const name of ['home', 'office'])
      assert.equal((await runPostern(home, ['tunnel', 'create', name])).code, 0, name);
    const edge = ['--edge', 'nowhere.invalid:7844'];
    const credentials = async (...argv: string[]) =>
      (await doctor(home, ...edge, ...argv)).checks
        .filter(({ component }) => component === 'Credentials')
        .map(({ target, status, details }) => `${target} ${status}: ${details}`);
    const passed = /^home pass: readable, and only by their owner; tunnel [0-9a-f-]{36}$/;
    assert.match((await credentials('home')).join(), passed);
    assert.equal((await runPostern(home, ['tunnel', 'config', 'init', 'home'])).code, 0);
    assert.match((await credentials()).join(), passed);
    assert.match((await credentials('hone')).join(), /^hone fail: hone is neither the ID nor the name/);
    await writeFile(join(home, 'many.yml'), 'tunnels: [home, hone, office]\ningress:\n  - service: http_status:204\n');
    const many = await credentials('--config', 'many.yml');
    assert.deepEqual(
      many.map(line => line.split(':')[0]),
      ['home pass', 'hone fail', 'office pass'],
    );
    const alone = await doctor(await temporaryDirectory(t), ...edge, 'home');
    assert.match(
      of(alone, 'Credentials').details,
      /home is a name, whose id only the API knows, and it could not be asked/,
    );
  });

  it('knows a kernel that grants little room to bursts', async t => {
    const path = join(await temporaryDirectory(t), 'rmem_max');
    await writeFile(path, '212992\n');
    const { status, remedy } = await checkReceiveBuffers(path);
    assert.deepEqual([status, remedy], ['fail', 'Set net.core.rmem_max to 2097152 or more']);
  });
});

describe('the checks beside a connector that starts', () => {
  it('are told of when something fails, and not else', { timeout: 60_000 }, async t => {
    const world = await EdgeWorld.open(t);
    const token = await tokenFile(t, world);
    const relay = await openTcpRelay({ host: '127.0.0.1', port: world.edge.connectorPort });
    t.after(() => relay.close());
    const home = await temporaryDirectory(t);
    const argv = ['tunnel', '--metrics', '127.0.0.1:0', '--hello-world'];
    const run = (...more: string[]) => startProgram(t, [...argv, ...more, 'run', '--token-file', token], { home });
    // Those that have nothing to tell have had the time of the one that has.
    const relayed = ['--edge', `127.0.0.1:${relay.port}`];
    const quiets = [
      run(),
      run(...relayed, '--protocol', 'http2'),
      run(...relayed, '--no-prechecks', '--protocol', 'http2'),
    ];
    for (const quiet of quiets) await quiet.logged(/Registered tunnel connection/);
    const blocked = run(...relayed);
    await blocked.logged(/WRN "?\| {2}UDP Connectivity {2}127\.0\.0\.1:\d+ +FAIL/);
    await blocked.logged(/WRN precheck complete hard_fail=false run_id=\S+ suggested_protocol=http2/);
    assert.match(blocked.log(), /CONNECTIVITY PRE-CHECKS/);
    for (const quiet of quiets) {
      assert.equal(await quiet.stop(), 0);
      assert.doesNotMatch(quiet.log(), /precheck component|PRE-CHECKS/);
    }
  });
});
