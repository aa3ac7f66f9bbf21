// Where things lead: tunnel route explain, route ip overlaps, route ip get --all-vnets, route dns list and delete, and the
// filters of tunnel list, against a real control plane.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { parseTunnelId, type TunnelId } from '../../../internal/schema/api/id.ts';
import { openTestControlPlane, type TestControlPlane } from '../../../test/support/control-plane.ts';
import { liveClient, liveConnection } from '../../../test/support/live-tunnels.ts';
import { type CliOutcome, runPostern } from '../../../test/support/run-cli.ts';

describe('questions about routes', () => {
  let edge: TestControlPlane;
  let office: TunnelId;
  const tunnel = (...argv: string[]): Promise<CliOutcome> => runPostern(edge.home, ['tunnel', ...argv]);
  const ok = async (...argv: string[]): Promise<string> => {
    const { code, stdout, stderr } = await tunnel(...argv);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const create = async (name: string): Promise<TunnelId> =>
    parseTunnelId((JSON.parse(await ok('create', '-o', 'json', name)) as { id: string }).id) ?? assert.fail();
  beforeEach(async () => {
    edge = await openTestControlPlane();
    office = await create('office');
    await create('lab');
    await ok('vnet', 'add', 'test');
  });
  afterEach(() => edge[Symbol.asyncDispose]());

  const addRoutes = async (): Promise<void> => {
    for (const [network = '', name = '', vnet = 'default'] of [
      ['10.0.0.0/8', 'office'],
      ['10.1.0.0/16', 'lab'],
      ['10.1.0.0/16', 'lab', 'test'],
      ['192.168.0.0/24', 'office', 'test'],
    ])
      await ok('route', 'ip', 'add', '--vnet', vnet, network, name);
  };

  it('say where a network leads, and where a part of it leads nowhere', async () => {
    await addRoutes();
    assert.equal(
      await ok('route', 'explain', '10.0.0.0/15'),
      [
        'Virtual network default (the default):',
        '  10.0.0.0/15: tunnel office (inactive), by the route 10.0.0.0/8',
        '  10.1.0.0/16: tunnel lab (inactive), by the route 10.1.0.0/16',
        'Virtual network test:',
        '  10.1.0.0/16: tunnel lab (inactive), by the route 10.1.0.0/16',
        '  nowhere: 10.0.0.0/16',
        '',
      ].join('\n'),
    );
    assert.match(await ok('route', 'explain', '192.168.0.9'), /test:\n {2}192\.168\.0\.9\/32: tunnel office/);
    assert.match(await ok('route', 'explain', 'fd00::/8'), /^No private route leads fd00::\/8/);
    for (const wrong of ['10.0.0.1/8', 'a b', 'http://x/'])
      assert.equal((await tunnel('route', 'explain', wrong)).code, 64);
  });

  it('say where a private name leads', async () => {
    await ok('route', 'hostname', 'add', '*.lan', 'office');
    await ok('route', 'hostname', 'add', 'db.lan', 'lab');
    assert.match(await ok('route', 'explain', 'DB.lan'), /db\.lan: tunnel lab, by the route db\.lan; its connector/);
    assert.match(await ok('route', 'explain', 'web.lan'), /web\.lan: tunnel office, by the route \*\.lan/);
    assert.match(await ok('route', 'explain', 'lan'), /^No route of a private host name leads lan/);
  });

  it('say which routes overlap, and the route of an address in every network', async () => {
    await addRoutes();
    const rows = (await ok('route', 'ip', 'overlaps')).split('\n').map(line => line.trim().split(/\s+/).join(' '));
    assert.deepEqual(rows.slice(1, -1).sort(), [
      '10.1.0.0/16 default lab 10.0.0.0/8 default office',
      '10.1.0.0/16 test lab 10.0.0.0/8 default office',
      '10.1.0.0/16 test lab 10.1.0.0/16 default lab',
    ]);
    assert.equal(await ok('route', 'ip', 'overlaps', '192.168.0.0/16'), 'No private routes overlap\n');
    const all = JSON.parse(await ok('route', 'ip', 'get', '--all-vnets', '-o', 'json', '10.1.2.3')) as object[];
    assert.deepEqual(
      all.map(one => 'network' in one && one.network),
      ['10.1.0.0/16', '10.1.0.0/16'],
    );
    assert.match(await ok('route', 'ip', 'get', '--all-vnets', '192.168.0.1'), /^test +192\.168\.0\.0\/24/m);
    assert.equal(await ok('route', 'ip', 'get', '--all-vnets', '172.16.0.1'), 'No route matches the IP 172.16.0.1\n');
  });

  it('list the public names, and lead one nowhere', async () => {
    for (const name of ['app', '*.apps', 'shop']) await ok('route', 'dns', 'office', name);
    const rows = (await ok('route', 'dns', 'list')).split('\n').map(line => line.split(/\s+/)[0]);
    assert.deepEqual(rows.slice(1, -1), ['*.apps.example.com', 'app.example.com', 'shop.example.com']);
    assert.match(await ok('route', 'dns', 'delete', '*.apps'), /^Deleted \*\.apps\.example\.com, which led to tunnel/);
    assert.match(await ok('route', 'dns', 'delete', 'APP.example.com'), /^Deleted app\.example\.com/);
    const gone = await tunnel('route', 'dns', 'delete', 'app');
    assert.match(gone.stderr, /No route leads app to a tunnel/);
    assert.equal(await edge.store.hostnames.get('app.example.com'), undefined);
    assert.notEqual(await edge.store.hostnames.get('shop.example.com'), undefined);
  });

  it('list tunnels by how they stand and since when', async () => {
    const hour = 3_600_000;
    const connections = [liveConnection({ id: '6b0b4f3e-3c6f-4a55-9b9f-0d4f2f7f8a11' })];
    edge.live.set(office, [liveClient({ connections, runAtMs: Date.now() - 2 * hour })]);
    const names = async (...flags: string[]): Promise<string[]> =>
      ((JSON.parse(await ok('list', '-o', 'json', ...flags)) ?? []) as { name: string }[]).map(one => one.name);
    assert.deepEqual(await names('--status', 'healthy'), ['office']);
    assert.deepEqual(await names('--status', 'Active'), ['office']);
    assert.deepEqual(await names('--status', 'inactive'), ['lab']);
    assert.deepEqual(await names('--min-uptime', '1h'), ['office']);
    assert.deepEqual(await names('--min-uptime', '3h'), []);
    assert.deepEqual(await names('--active-at', new Date(Date.now() - hour).toISOString()), ['office']);
    assert.deepEqual(await names('--active-at', new Date(Date.now() - 3 * hour).toISOString()), []);
    assert.match(await ok('list', '--long'), /office .* healthy +2h0m/);
    assert.match(await ok('info', '--long', 'office'), /STATUS: {3}healthy\nUPTIME: {3}2h0m\S*\n\n.*PROTOCOL UPTIME/s);
    edge.live.set(office, [liveClient({ connections, missing: [1] })]);
    assert.deepEqual(await names('--status', 'degraded'), ['office']);
    for (const wrong of [
      ['--status', 'fine'],
      ['--active-at', 'noon'],
      ['--min-uptime', 'long'],
    ])
      assert.equal((await tunnel('list', ...wrong)).code, 64, wrong.join(' '));
  });
});
