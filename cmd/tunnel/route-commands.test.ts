// tunnel route dns|ip|hostname and tunnel vnet against a real control plane.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { openTestControlPlane, type TestControlPlane } from '../../test/support/control-plane.ts';
import { type CliOutcome, runPostern } from '../../test/support/run-cli.ts';

const uuid = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

describe('route and vnet commands', () => {
  let edge: TestControlPlane;
  let id: string;
  const tunnel = (...argv: string[]): Promise<CliOutcome> => runPostern(edge.home, ['tunnel', ...argv]);
  const ok = async (...argv: string[]): Promise<string> => {
    const { code, stdout, stderr } = await tunnel(...argv);
    assert.deepEqual([code, stderr], [0, '']);
    return stdout;
  };
  const fails = async (argv: string[], code: number, message: RegExp): Promise<void> => {
    const outcome = await tunnel(...argv);
    assert.match(outcome.stderr, message);
    assert.deepEqual([outcome.code, outcome.stdout], [code, '']);
  };
  const uuidIn = (text: string): string => uuid.exec(text)?.[0] ?? assert.fail(`no UUID in ${text}`);
  beforeEach(async () => {
    edge = await openTestControlPlane();
    id = uuidIn(await ok('create', '-o', 'json', 'web'));
  });
  afterEach(() => edge[Symbol.asyncDispose]());

  it('route dns logs what became of the name', async () => {
    const dns = async (...argv: string[]): Promise<string> => {
      const { code, stderr } = await tunnel('route', 'dns', ...argv);
      assert.equal(code, 0, stderr);
      return stderr;
    };
    const line = (text: string): RegExp => new RegExp(`^\\S+Z INF ${text} tunnelID=${id}\n$`);
    assert.match(await dns('web', 'app'), line('Added CNAME app\\.example\\.com which will route to this tunnel'));
    assert.match(
      await dns(id, 'app.example.com'),
      line('app\\.example\\.com is already configured to route to your tunnel'),
    );
    await ok('create', 'other');
    await fails(['route', 'dns', 'other', 'app'], 1, /^Failed to add route: code: 1003/);
    assert.match(await dns('-f', 'other', 'app'), /INF app\.example\.com updated to route to your tunnel/);
    assert.match(
      await dns('web', '*.apps'),
      line('Added CNAME \\*\\.apps\\.example\\.com which will route to this tunnel'),
    );
    assert.match(
      await dns('web', 'app.other.com'),
      /WRN app\.other\.com is not in the zone of your credential: the name is app\.other\.com\.example\.com\n$/,
    );
    assert.match(await dns('web', 'bücher'), /xn--bcher-kva\.example\.com/);
    for (const bad of ['a b', 'a/b', ''])
      await fails(
        ['route', 'dns', 'web', bad],
        64,
        / is not a valid hostname: give the name alone, without scheme, port and path \[usage\.invalid\]\n/,
      );
    await fails(['route', 'dns', 'web'], 64, /expects the format/);
  });

  it('edge token prints what on-ramps take for a password', async () => {
    const { code, stdout } = await runPostern(edge.home, ['edge', 'token']);
    assert.deepEqual([code, stdout], [0, `${edge.accounts.cert.apiToken}\n`]);
  });

  it('route ip adds, shows, finds and deletes', async () => {
    assert.equal(
      await ok('route', 'ip', 'add', '10.1.2.3/16', 'web', 'the', 'office'),
      `Successfully added route for 10.1.0.0/16 over tunnel ${id}\n`,
    );
    await ok('route', 'ip', 'add', 'fd00::/8', id);
    await fails(
      ['route', 'ip', 'add', '10.1.0.0/16', 'web'],
      1,
      /You already have a route defined for this exact IP subnet/,
    );
    await fails(['route', 'ip', 'add', '10.1.0.0', 'web'], 64, /^Invalid network CIDR .*192\.0\.2\.7\/32/);
    await fails(['route', 'ip', 'add', '10.1.0.0/33', 'web'], 64, /^Invalid network CIDR/);
    await fails(['route', 'ip', 'add', '10.1.0.0/16'], 64, /^You must supply at least 2 arguments/);
    await fails(['route', 'ip', 'add', '10.2.0.0/16', 'web', '--vnet', 'none'], 1, /named none/);
    const vnet = uuidIn(await ok('vnet', 'list'));
    const [header, first] = (await ok('route', 'ip', 'show')).split('\n');
    assert.match(header ?? '', /^ID +NETWORK +VIRTUAL NET ID +COMMENT +TUNNEL ID +TUNNEL NAME +CREATED +DELETED $/);
    assert.match(
      first ?? '',
      new RegExp(`^${uuid.source} 10\\.1\\.0\\.0/16 ${vnet} +the office ${id} +web +\\S+Z - +$`),
    );
    assert.match(await ok('route', 'ip', 'get', '10.1.9.9'), /10\.1\.0\.0\/16/);
    assert.equal(await ok('route', 'ip', 'get', '10.2.9.9'), 'No route matches the IP 10.2.9.9\n');
    assert.equal(await ok('route', 'ip', 'get', '-o', 'json', '10.2.9.9'), 'null\n');
    await fails(['route', 'ip', 'get', 'x'], 64, /^Invalid IP "x"/);
    const networks = async (...argv: string[]): Promise<string[]> =>
      ((JSON.parse(await ok('route', 'ip', 'list', '-o', 'json', ...argv)) as { network: string }[] | null) ?? []).map(
        r => r.network,
      );
    assert.deepEqual(await networks('-nsub', '10.0.0.0/8'), ['10.1.0.0/16']);
    assert.deepEqual(await networks('-nsup', 'fd00::1/128'), ['fd00::/8']);
    assert.deepEqual(await networks('--filter-comment-is', 'the office'), ['10.1.0.0/16']);
    assert.deepEqual(await networks('--filter-tunnel-id', randomUUID()), []);
    const other = uuidIn(await ok('create', '-o', 'json', 'other'));
    assert.equal(
      await ok('route', 'ip', 'update', '--tunnel', 'other', '10.1.0.0/16'),
      `Successfully updated route for 10.1.0.0/16, over tunnel ${other}\n`,
    );
    assert.match(await ok('route', 'ip', 'get', '10.1.9.9'), new RegExp(`the office ${other}`));
    await ok('route', 'ip', 'update', '-c', 'moved', '10.1.0.0/16');
    assert.match(await ok('route', 'ip', 'get', '10.1.9.9'), new RegExp(`moved +${other}`));
    await fails(['route', 'ip', 'update', '10.1.0.0/16'], 64, /^Nothing to change/);
    await fails(['route', 'ip', 'update', '-t', 'none', '10.1.0.0/16'], 1, /none/);
    await fails(['route', 'ip', 'update', '-c', 'x', '10.3.0.0/16'], 1, /^unable to find route/);
    assert.match(
      await ok('route', 'ip', 'delete', '10.1.0.0/16'),
      /^Successfully deleted route with ID [-0-9a-f]{36}\n$/,
    );
    await fails(
      ['route', 'ip', 'delete', '10.1.0.0/16'],
      1,
      /^unable to find route for provided network and vnet \[api\.not-found\]\n/,
    );
    assert.deepEqual(await networks('--filter-is-deleted'), ['10.1.0.0/16']);
    const route = uuidIn(await ok('route', 'ip', 'show'));
    assert.equal(await ok('route', 'ip', 'delete', route), `Successfully deleted route with ID ${route}\n`);
    assert.match(await ok('route', 'ip', 'show'), /^No routes were found/);
  });

  it('vnets hold overlapping routes, and there is always one default', async () => {
    const added = await ok('vnet', 'add', 'office', 'second', 'floor');
    const office = uuidIn(added);
    assert.equal(added.split('\n')[0], `Successfully added virtual 'network' office with ID: ${office}`);
    await ok('route', 'ip', 'add', '10.0.0.0/8', 'web');
    await ok('route', 'ip', 'add', '--vnet', 'office', '10.0.0.0/8', 'web');
    await fails(['route', 'ip', 'delete', '10.0.0.0/8'], 1, /2 virtual networks have one/);
    await fails(['vnet', 'delete', 'office'], 1, /code: 1030/);
    assert.match(await ok('route', 'ip', 'get', '--vnet', 'office', '10.9.9.9'), new RegExp(office));
    await ok('route', 'ip', 'delete', '--vnet', office, '10.0.0.0/8');
    assert.match(await ok('route', 'ip', 'get', '--vnet', 'office', '10.9.9.9'), /^No route matches/);
    assert.equal(
      await ok('vnet', 'update', '-n', 'hq', '-d', 'office'),
      "Successfully updated virtual network 'office'\n",
    );
    const [header, ...rows] = (await ok('vnet', 'list')).trimEnd().split('\n');
    assert.match(header ?? '', /^ID +NAME +IS DEFAULT COMMENT +CREATED +DELETED $/);
    assert.match(rows.join('\n'), new RegExp(`${office} hq +true +second floor`));
    assert.match(await ok('vnet', 'list', '--is-default'), /hq/);
    assert.doesNotMatch(await ok('vnet', 'list', '--is-default=false'), /hq/);
    await fails(['vnet', 'delete', '-f', 'hq'], 1, /code: 1031/);
    await fails(['vnet', 'add', 'hq'], 1, /already have a virtual network with this name/);
    await fails(['vnet', 'update', 'hq'], 64, /^Nothing to change/);
    assert.equal(await ok('vnet', 'delete', '--force', 'default'), "Successfully deleted virtual network 'default'\n");
    assert.match(await ok('route', 'ip', 'show'), /^No routes were found/);
    assert.match(await ok('vnet', 'list', '--show-deleted'), /default/);
    await fails(['vnet', 'list', '--id', 'nouuid'], 64, /^nouuid is not a valid virtual network ID/);
    assert.match(await ok('vnet', 'list', '--name', 'x'), /^No virtual networks were found/);
    assert.match(await ok('vnet', 'add', '-d', 'lab'), /\(as the new default for this account\)/);
  });

  it('route hostname adds, shows and deletes', async () => {
    assert.equal(
      await ok('route', 'hostname', 'add', 'DB.internal', 'web'),
      `Successfully added route for db.internal over tunnel ${id}\n`,
    );
    await fails(['route', 'hostname', 'add', 'db.internal', 'web'], 1, /code: 1014/);
    await fails(['route', 'hostname', 'add', '10.0.0.1', 'web'], 1, /not a valid host name/);
    assert.match(await ok('route', 'hostname', 'show'), /^ID +HOSTNAME[^\n]*\n[-0-9a-f]{36} db\.internal /);
    assert.match(await ok('route', 'hostname', 'list', '-o', 'yaml'), /hostname: db\.internal/);
    await ok('route', 'hostname', 'delete', 'db.internal');
    await fails(['route', 'hostname', 'delete', 'db.internal'], 1, /^unable to find route/);
    assert.match(await ok('route', 'hostname', 'show'), /^No routes were found/);
  });
});
