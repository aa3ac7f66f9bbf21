// Edge and connectors as services of a systemd at work, installed, reloaded, upgraded under load, killed, hung and removed. Part
// of `npm run test:systemd`.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { until } from '../support/wait.ts';
import { load, origin } from './load.ts';
import { Machine, machineLacks, posternWords } from './machine.ts';

describe('services of systemd', { skip: machineLacks() ?? false, timeout: 900_000 }, () => {
  let machine: Machine;
  before(async () => {
    machine = await Machine.boot();
    // What is pinged through the tunnel.
    await machine.sh('ip address add 10.77.0.1/32 dev lo');
    await machine.sh(`systemd-run --quiet --unit=origin /opt/node/node -e "${origin}"`);
  });
  after(() => machine?.[Symbol.asyncDispose]());

  const show = async (unit: string, property: string): Promise<string> =>
    (await machine.sh(`systemctl show --value --property=${property} ${unit}`)).trim();
  const journal = (unit: string): Promise<string> => machine.sh(`journalctl --no-pager --unit ${unit}`);
  const active = (unit: string): Promise<void> =>
    until(`${unit} to be active`, async () => (await show(unit, 'ActiveState')) === 'active', 60_000);

  it('runs an edge as a user of its own, ready when it serves', async () => {
    const outcome = await machine.postern('service', 'install', '--edge', '--', '--metrics', '127.0.0.1:9090');
    assert.equal(outcome.code, 0, outcome.stderr);
    assert.match(
      outcome.stdout,
      /^The service postern@edge runs .*\nCommands reach this edge with POSTERN_STATE_DIR=\/var\/lib\/postern\/edge\n$/,
    );
    assert.equal(await show('postern@edge', 'StatusText'), 'Serving localhost');
    const pid = await show('postern@edge', 'MainPID');
    assert.notEqual((await machine.sh(`stat -c %u /proc/${pid}`)).trim(), '0');
    const log = await journal('postern@edge');
    // Neither the engine for QUIC nor the store miss anything in the sandbox.
    assert.doesNotMatch(log, /"level":"(?:warn|error)"/);
    assert.equal((await machine.postern('healthcheck', '--metrics', '127.0.0.1:9090')).code, 0);
    await machine.sh('systemctl reload postern@edge');
    assert.match(await journal('postern@edge'), /Certificates and the error page were read again due to SIGHUP/);
    assert.equal(await show('postern@edge', 'ActiveState'), 'active');
  });

  it('runs a connector with a token that is in no unit, no command line and no variable', async () => {
    for (const args of [
      ['tunnel', 'create', 'app'],
      ['tunnel', 'route', 'dns', 'app', 'app.localhost'],
      ['tunnel', 'route', 'ip', 'add', '10.77.0.0/24', 'app'],
    ]) {
      const { code, stderr } = await machine.postern(...args);
      assert.equal(code, 0, stderr);
    }
    const token = (await machine.postern('tunnel', 'token', 'app')).stdout.trim();
    await machine.sh(`umask 077; printf %s '${token}' > /srv/token`);
    const outcome = await machine.postern(
      ...['service', 'install', '--name', 'web', '--token-file', '/srv/token', '--url', 'http://127.0.0.1:3000'],
      ...['--allow-destination', '10.77.0.1/32', '--', '--metrics', '127.0.0.1:20241'],
    );
    assert.equal(outcome.code, 0, outcome.stderr);
    await until(
      'four connections',
      async () => (await show('postern@web', 'StatusText')) === '4 connections to the edge',
    );
    const pid = await show('postern@web', 'MainPID');
    assert.equal((await machine.sh('stat -c %a-%u /etc/postern/web.token')).trim(), '600-0');
    const seen = await machine.sh(
      `systemctl cat postern@web; systemctl show postern@web; tr '\\0' '\\n' < /proc/${pid}/cmdline; tr '\\0' '\\n' < /proc/${pid}/environ`,
    );
    assert.ok(!seen.includes(token) && !outcome.stdout.includes(token));
    assert.ok(!(await journal('postern@web')).includes(token));
    // Echo and QUIC work in the sandbox.
    const ping = await machine.postern('ping', '--count', '2', '10.77.0.1');
    assert.match(ping.stdout, /2 (packets )?received/, ping.stdout + ping.stderr);
    assert.match(await journal('postern@web'), /"protocol":"quic".*"Registered tunnel connection"/);
  });

  it('restarts a connector, as an upgrade does, without a failed request', async () => {
    const visitors = machine.run('/opt/node/node', '-e', load);
    for (let round = 1; round <= 3; round += 1) {
      const before = await show('postern@web', 'MainPID');
      await machine.sh('systemctl restart postern@web');
      assert.notEqual(await show('postern@web', 'MainPID'), before);
      // Visitors get on between two restarts.
      await until('connections', async () => (await show('postern@web', 'StatusText')) === '4 connections to the edge');
    }
    await machine.sh('touch /run/enough');
    const { good, bad } = JSON.parse((await visitors).stdout) as { good: number; bad: string[] };
    assert.deepEqual(bad, [], `of ${good}`);
    assert.ok(good > 50, `${good} answers`);
    console.log(`    three restarts, ${good} requests, none failed`);
  });

  it('is started again when it is killed, and when it hangs', async () => {
    const restarts = async (): Promise<number> => Number(await show('postern@web', 'NRestarts'));
    const first = await restarts();
    await machine.sh('systemctl kill --signal=KILL postern@web');
    await until('a restart', async () => (await restarts()) > first, 60_000);
    await active('postern@web');
    // A shorter watchdog than the unit's, for this test's patience.
    await machine.sh(
      'mkdir -p /run/systemd/system/postern@web.service.d; printf "[Service]\\nWatchdogSec=3\\n" > /run/systemd/system/postern@web.service.d/w.conf; systemctl daemon-reload; systemctl restart postern@web',
    );
    const second = await restarts();
    await machine.sh('systemctl kill --kill-whom=main --signal=STOP postern@web');
    await until('a restart by the watchdog', async () => (await restarts()) > second, 90_000);
    await active('postern@web');
    assert.match(await journal('postern@web'), /Watchdog timeout/);
  });

  it('serves a config file, reloads it, and says why a bad one does not start', async () => {
    await machine.sh(
      'umask 077; mkdir -p /srv/x; cp ~/.postern/*.json /srv/x/tunnel.json; printf "tunnel: app\\ncredentials-file: /srv/x/tunnel.json\\nmetrics: 127.0.0.1:20242\\ningress: [{ service: http_status:204 }]\\n" > /srv/x/config.yml',
    );
    const outcome = await machine.postern('service', 'install', '--config', '/srv/x/config.yml', '--name', 'files');
    assert.equal(outcome.code, 0, outcome.stderr + (await journal('postern@files')));
    const copy = '/etc/postern/files.config.yml';
    await machine.sh(`sed -i s/204/205/ ${copy}; systemctl reload postern@files`);
    assert.match(await journal('postern@files'), /Reloaded \/etc\/postern\/files\.config\.yml/);
    await machine.sh(`echo 'retries: many' >> ${copy}`);
    const restarted = await machine.run('systemctl', 'restart', 'postern@files');
    assert.notEqual(restarted.code, 0);
    assert.equal(await show('postern@files', 'ActiveState'), 'failed');
    assert.equal(await show('postern@files', 'ExecMainStatus'), '3');
    assert.match((await machine.postern('service', 'logs', '--name', 'files')).stdout, /retries/);
    const twice = await machine.postern('service', 'install', '--config', '/srv/x/config.yml', '--name', 'files');
    assert.match(twice.stderr, /is installed already/);
  });

  it('shows all, removes them, and leaves config and state', async () => {
    const { stdout } = await machine.postern('service', 'status');
    for (const unit of ['postern@edge', 'postern@files', 'postern@web'])
      assert.ok(stdout.includes(`${unit}.service`), stdout);
    const which = await machine.postern('service', 'uninstall');
    assert.match(which.stderr, /There is postern@edge, postern@files, postern@web: choose with --name/);
    for (const name of ['files', 'web', 'edge']) {
      const { code, stderr } = await machine.postern('service', 'uninstall', '--name', name);
      assert.equal(code, 0, stderr);
    }
    assert.equal((await machine.sh(`pgrep -fc "^${posternWords[0]} .*cmd/postern" || true`)).trim(), '0');
    assert.equal(
      await machine.sh(
        'ls /etc/postern; ls /etc/systemd/system/multi-user.target.wants | grep postern || true; ls /var/lib/postern',
      ),
      'files.config.yml\nedge\nfiles\nweb\n',
    );
    assert.match(await machine.sh('ls /var/lib/postern/edge/'), /edge\.db/);
  });
});
