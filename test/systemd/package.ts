// The package of Debian on a systemd at work: its units run, an upgrade under load loses no request, a purge leaves the data.
// Part of `npm run test:systemd`.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { requirePackagingTools } from '../../scripts/package/tools.ts';
import { type MadePackages, makePackages } from '../packaging/made-packages.ts';
import { until } from '../support/wait.ts';
import { load, origin } from './load.ts';
import { Machine, machineLacks, posternWords } from './machine.ts';

describe('package on systemd', { skip: machineLacks() ?? false, timeout: 900_000 }, () => {
  let made: MadePackages;
  let machine: Machine;
  before(async () => {
    requirePackagingTools();
    made = await makePackages();
    machine = await Machine.boot(made.repositories);
    // As the installer of Debian writes it.
    await machine.sh('echo 127.0.0.1 localhost > /etc/hosts');
    await machine.sh(`systemd-run --quiet --unit=origin /opt/node/node -e "${origin}"`);
    await machine.sh(
      `rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*; sed 's|${made.url}|file:///srv/given|' /srv/given/apt/postern.sources > /etc/apt/sources.list.d/postern.sources; apt-get -q update`,
    );
  });
  after(async () => {
    await machine?.[Symbol.asyncDispose]();
    await made?.[Symbol.asyncDispose]();
  });

  const show = async (unit: string, property: string): Promise<string> =>
    (await machine.sh(`systemctl show --value --property=${property} ${unit}`)).trim();
  const connected = (unit: string): Promise<void> =>
    until(
      `connections of ${unit}`,
      async () => (await show(unit, 'StatusText')) === '4 connections to the edge',
      60_000,
    );

  it('starts nothing by itself, and its units run an edge and connectors as its user', async () => {
    await machine.sh('apt-get -q -y install postern');
    assert.equal(await show('postern', 'ActiveState'), 'inactive');
    // Without a token there is nothing to start, which is no failure.
    await machine.sh('systemctl start postern');
    assert.equal(await show('postern', 'ActiveState'), 'inactive');

    await machine.sh(`echo "POSTERN_EDGE_FLAGS=--metrics 127.0.0.1:9090" > /etc/postern/edge.env
      systemctl enable --now postern-edge
      export POSTERN_STATE_DIR=/var/lib/postern/edge
      for name in app other; do postern tunnel create $name; postern tunnel route dns $name $name.localhost; done
      umask 077
      postern tunnel token app > /etc/postern/token
      postern tunnel token other > /etc/postern/other.token
      umask 022
      echo TUNNEL_URL=http://127.0.0.1:3000 > /etc/postern/postern.env
      echo 'ingress: [{ service: http_status:204 }]' > /etc/postern/other.config.yml
      systemctl enable --now postern postern@other`);
    for (const unit of ['postern', 'postern@other']) {
      await connected(unit);
      const pid = await show(unit, 'MainPID');
      assert.equal((await machine.sh(`stat -c %U /proc/${pid}`)).trim(), 'postern');
    }
    assert.doesNotMatch(await machine.sh('journalctl --no-pager --unit postern-edge'), /"level":"(?:warn|error)"/);
    await machine.sh('postern healthcheck --metrics 127.0.0.1:9090');
  });

  it('is upgraded under load without a failed request', async () => {
    // An edge of the package would be restarted with the connectors, and its visitors' connections end. This one is elsewhere.
    await machine.sh(`systemctl disable --now postern-edge
      systemd-run --quiet --unit=edge --property=Type=notify ${posternWords.join(' ')} edge run --state-dir /var/lib/postern/edge`);
    await connected('postern');
    const visitors = machine.run('/opt/node/node', '-e', load);
    for (let round = 1; round <= 2; round += 1) {
      const before = await show('postern', 'MainPID');
      await machine.sh('apt-get -q -y install --reinstall postern');
      assert.notEqual(await show('postern', 'MainPID'), before);
      for (const unit of ['postern', 'postern@other']) await connected(unit);
    }
    await machine.sh('touch /run/enough');
    const { good, bad } = JSON.parse((await visitors).stdout) as { good: number; bad: string[] };
    assert.deepEqual(bad, [], `of ${good}`);
    assert.ok(good > 50, `${good} answers`);
    console.log(`    two upgrades, ${good} requests, none failed`);
  });

  it('stops what runs when it is removed, and keeps the data of an edge through a purge', async () => {
    await machine.sh('systemctl stop edge; apt-get -q -y purge postern');
    const { stdout } = await machine.run('systemctl', 'list-units', '--all', '--plain', '--no-legend', 'postern*');
    assert.doesNotMatch(stdout, / running /);
    assert.equal(
      await machine.sh(
        'ls -d /etc/postern /etc/systemd/system/*.wants/postern* 2>/dev/null || true; ls /var/lib/postern',
      ),
      'edge\n',
    );
  });
});
