// The management commands against our API, by cert.pem and the API's address.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { posternCommand, startChild } from '../../support/child-program.ts';
import { listen } from '../../support/origin-server.ts';
import { until } from '../../support/wait.ts';
import { openVisitedOrigin } from '../visited-origin.ts';
import { Lab, registered } from './lab.ts';
import type { Scenario, Stage } from './scenario.ts';
import { tailScenarios } from './tail.ts';
import { checkVisits, visit } from './visit.ts';

export const managementScenarios: readonly Scenario[] = [
  { name: 'tunnel create, list, token, delete', run: manageTunnels },
  { name: 'tunnel info, cleanup, delete of a running tunnel', run: manageConnectors },
  { name: 'tunnel route dns', run: manageHostNames },
  { name: 'tunnel route lb', run: manageBalancers },
  { name: 'tunnel vnet', run: manageNetworks },
  { name: 'tunnel route ip', run: manageRoutes },
  { name: 'what v4 clients changed', run: manageChanged },
  { name: 'tunnel ready', run: askReady },
  { name: 'tunnel diag, of its own connector and of ours', run: diagnose },
  ...tailScenarios,
];

interface Listed {
  readonly id: string;
  readonly name: string;
}

/** What a command prints with `--output json`. */
async function listing<T>(lab: Lab, ...args: readonly string[]): Promise<T> {
  return JSON.parse(await lab.succeed(...args)) as T;
}

async function refuse(lab: Lab, why: RegExp, ...args: readonly string[]): Promise<void> {
  const { code, stderr } = await lab.command(args);
  assert.notEqual(code, 0, `${args.join(' ')} was not refused`);
  assert.match(stderr, why);
}

async function manageTunnels(stage: Stage): Promise<void> {
  const lab = await Lab.open(stage);
  const printed = await lab.succeed('tunnel', 'create', '--credentials-file', 'one.json', 'one');
  const [, id = ''] = /Created tunnel one with id (\S+)/.exec(printed) ?? [];
  const made = await listing<Listed>(lab, 'tunnel', 'create', '--credentials-file', 'two.json', '-o', 'json', 'two');
  assert.equal(made.name, 'two');
  await refuse(lab, /already exists/, 'tunnel', 'create', '--credentials-file', 'three.json', 'one');
  const names = async (...flags: readonly string[]): Promise<readonly string[]> =>
    ((await listing<readonly Listed[] | null>(lab, 'tunnel', 'list', '-o', 'json', ...flags)) ?? []).map(it => it.name);
  assert.deepEqual(await names(), ['one', 'two']);
  assert.deepEqual(await names('--name-prefix', 'tw'), ['two']);
  assert.deepEqual(await names('--id', id), ['one']);
  assert.match(await lab.succeed('tunnel', 'list'), new RegExp(`^${id} +one `, 'm'));
  const token = (await lab.succeed('tunnel', 'token', 'one')).trim();
  const claims = JSON.parse(Buffer.from(token, 'base64').toString()) as { readonly t: string };
  assert.equal(claims.t, id);
  await lab.succeed('tunnel', 'delete', 'one', made.id);
  assert.deepEqual(await names(), []);
  assert.deepEqual(await names('--show-deleted'), ['one', 'two']);
  await refuse(lab, /one/, 'tunnel', 'info', 'one');
}

async function manageConnectors(stage: Stage): Promise<void> {
  const lab = await Lab.open(stage);
  await lab.succeed('tunnel', 'create', '--credentials-file', 'app.json', 'app');
  await lab.succeed('tunnel', 'route', 'dns', 'app', 'app');
  const origin = await openVisitedOrigin(stage);
  const url = `http://127.0.0.1:${origin}`;
  const connector = await lab.run({
    ...{ protocol: 'quic', runFlags: ['--url', url, '--credentials-file', 'app.json', 'app'] },
  });
  interface Info {
    readonly id: string;
    readonly conns: readonly { readonly id: string; readonly conns: readonly unknown[] }[];
  }
  const info = (): Promise<Info> => listing<Info>(lab, 'tunnel', 'info', '-o', 'json', 'app');
  const { conns } = await info();
  assert.equal(conns.length, 1);
  assert.equal(conns[0]?.conns.length, 2);
  assert.ok(connector.log().includes(conns[0]?.id ?? 'no id'), 'the connector has another id in its log');
  assert.match(await lab.succeed('tunnel', 'info', 'app'), new RegExp(`^${conns[0]?.id} .*2xlab`, 'm'));
  await refuse(lab, /active connections/, 'tunnel', 'delete', 'app');
  const registrations = (): number => connector.log().match(/Registered tunnel connection/g)?.length ?? 0;
  await lab.succeed('tunnel', 'cleanup', 'app');
  await until('the connections to come back', () => registrations() >= 4);
  await checkVisits(lab, 'app.localhost');
  await lab.succeed('tunnel', 'delete', '--force', 'app');
  const { length } = (await lab.api('GET', 'cfd_tunnel?is_deleted=false')) as readonly unknown[];
  assert.equal(length, 0);
}

async function manageHostNames(stage: Stage): Promise<void> {
  const lab = await Lab.open(stage);
  for (const name of ['one', 'two']) await lab.succeed('tunnel', 'create', '--credentials-file', `${name}.json`, name);
  const route = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await lab.command(['tunnel', 'route', 'dns', ...args]);
    assert.equal(code, 0, stderr);
    return stdout + stderr;
  };
  assert.match(await route('one', 'app'), /Added CNAME app\.localhost which will route to this tunnel/);
  assert.match(await route('one', 'app.localhost'), /app\.localhost is already configured to route to your tunnel/);
  await refuse(lab, /leads to another tunnel/, 'tunnel', 'route', 'dns', 'two', 'app');
  assert.match(await route('--overwrite-dns', 'two', 'app'), /app\.localhost updated to route to your tunnel/);
}

async function manageBalancers(stage: Stage): Promise<void> {
  const lab = await Lab.open(stage);
  const served = new Map<string, number>();
  for (const name of ['one', 'two', 'three']) {
    await lab.succeed('tunnel', 'create', '--credentials-file', `${name}.json`, name);
    const port = await listen(
      stage,
      createServer((_request, response) => response.end(name)),
    );
    const runFlags = ['--url', `http://127.0.0.1:${port}`, '--credentials-file', `${name}.json`, name];
    if (name !== 'three') await lab.run({ protocol: 'quic', connections: 1, runFlags });
  }
  const route = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await lab.command(['tunnel', 'route', 'lb', ...args]);
    assert.equal(code, 0, stderr);
    return stdout + stderr;
  };
  assert.match(
    await route('one', 'app.localhost', 'web'),
    /Created load balancer app\.localhost and added a new pool web/,
  );
  assert.match(await route('one', 'app.localhost', 'web'), /already uses pool web which has this tunnel/);
  assert.match(
    await route('two', 'app.localhost', 'web'),
    /Added this tunnel as an origin in pool web which is already/,
  );
  assert.match(await route('three', 'app.localhost', 'spare'), /Added new pool spare with this tunnel as an origin to/);
  assert.match(await route('three', 'more.localhost', 'web'), /existing pool web which was updated to use this tunnel/);
  for (let count = 0; count < 40; count += 1) {
    const body = (await visit(lab, 'app.localhost', '/')).body.toString();
    served.set(body, (served.get(body) ?? 0) + 1);
  }
  // Nobody has a chance of less than one in 2^39.
  assert.deepEqual([...served.keys()].sort(), ['one', 'two']);
  await refuse(lab, /not a valid pool name/, 'tunnel', 'route', 'lb', 'one', 'app', 'a b');
}

async function manageNetworks(stage: Stage): Promise<void> {
  const lab = await Lab.open(stage);
  interface Network extends Listed {
    readonly comment: string;
    readonly is_default_network: boolean;
  }
  const networks = async (): Promise<readonly string[]> => {
    const all = await listing<readonly Network[]>(lab, 'tunnel', 'vnet', 'list', '-o', 'json');
    return all.map(it => `${it.name}${it.is_default_network ? ' (default)' : ''}`).sort();
  };
  assert.match(await lab.succeed('tunnel', 'vnet', 'add', 'office', 'first floor'), /office with ID: \S{36}/);
  assert.deepEqual(await networks(), ['default (default)', 'office']);
  await refuse(lab, /already have a virtual network/, 'tunnel', 'vnet', 'add', 'office');
  await lab.succeed('tunnel', 'vnet', 'update', '--name', 'work', '--default', 'office');
  assert.deepEqual(await networks(), ['default', 'work (default)']);
  await lab.succeed('tunnel', 'vnet', 'update', '--default', 'default');
  await lab.succeed('tunnel', 'vnet', 'delete', 'work');
  assert.deepEqual(await networks(), ['default (default)']);
}

async function manageRoutes(stage: Stage): Promise<void> {
  const lab = await Lab.open(stage);
  for (const name of ['one', 'two']) await lab.succeed('tunnel', 'create', '--credentials-file', `${name}.json`, name);
  await lab.succeed('tunnel', 'vnet', 'add', 'office');
  const ip = (...args: readonly string[]): Promise<string> => lab.succeed('tunnel', 'route', 'ip', ...args);
  interface Route {
    readonly id: string;
    readonly network: string;
    readonly tunnel_name: string;
    readonly comment: string;
  }
  const shown = (): Promise<readonly Route[] | null> =>
    listing<readonly Route[] | null>(lab, 'tunnel', 'route', 'ip', 'show', '-o', 'json');
  assert.match(await ip('add', '10.1.0.0/16', 'one', 'the lab'), /Successfully added route for 10\.1\.0\.0\/16/);
  await ip('add', '10.1.2.0/24', 'two');
  await ip('add', '--vnet', 'office', '10.1.0.0/16', 'two');
  await refuse(lab, /already have a route/, 'tunnel', 'route', 'ip', 'add', '10.1.0.0/16', 'two');
  const routes = (await shown()) ?? [];
  assert.deepEqual(routes.map(it => `${it.network} ${it.tunnel_name} ${it.comment}`).sort(), [
    '10.1.0.0/16 one the lab',
    '10.1.0.0/16 two ',
    '10.1.2.0/24 two ',
  ]);
  assert.match(await ip('get', '10.1.9.9'), /10\.1\.0\.0\/16 .* one /);
  assert.match(await ip('get', '10.1.2.9'), /10\.1\.2\.0\/24 .* two /);
  assert.match(await ip('get', '--vnet', 'office', '10.1.2.9'), /10\.1\.0\.0\/16 .* two /);
  await refuse(lab, /private routes/, 'tunnel', 'delete', 'one');
  await ip('delete', '10.1.2.0/24');
  await ip('delete', '--vnet', 'office', '10.1.0.0/16');
  await ip('delete', routes.find(it => it.tunnel_name === 'one')?.id ?? '');
  assert.deepEqual((await shown()) ?? [], []);
  const { stdout, stderr } = await lab.command(['tunnel', 'route', 'ip', 'get', '10.1.2.9']);
  assert.match(stdout + stderr, /No route matches the IP 10\.1\.2\.9/);
}

/** Renamed and reached through DNS records by another client of the API, and then managed by commands. */
async function manageChanged(stage: Stage): Promise<void> {
  const lab = await Lab.open(stage);
  const { id, token } = (await lab.api('POST', 'cfd_tunnel', { name: 'old' })) as { id: string; token: string };
  const config = { ingress: [{ service: 'http_status:204' }] };
  await lab.api('PUT', `cfd_tunnel/${id}/configurations`, { config });
  await lab.api('PATCH', `cfd_tunnel/${id}`, { name: 'new' });
  const record = { type: 'CNAME', name: 'made', content: `${id}.cfargotunnel.com`, proxied: true, ttl: 1 };
  await lab.zoneApi('POST', 'dns_records', record);
  await refuse(lab, /neither the ID nor the name/, 'tunnel', 'info', 'old');
  const { stdout, stderr } = await lab.command(['tunnel', 'route', 'dns', 'new', 'made']);
  assert.match(stdout + stderr, /made\.localhost is already configured to route to your tunnel/);
  const connector = await lab.run({ protocol: 'quic', token });
  const [listed] = await listing<readonly (Listed & { readonly connections: readonly unknown[] })[]>(
    lab,
    ...['tunnel', 'list', '-o', 'json'],
  );
  assert.deepEqual([listed?.name, listed?.connections.length], ['new', 2]);
  /** A stock program leaves out of a token what it does not know. */
  const secretIn = (text: string): string => (JSON.parse(Buffer.from(text, 'base64').toString()) as { s: string }).s;
  assert.equal(secretIn(await lab.succeed('tunnel', 'token', 'new')), secretIn(token));
  await lab.api('PATCH', `cfd_tunnel/${id}`, { tunnel_secret: Buffer.alloc(32, 5).toString('base64') });
  assert.notEqual(secretIn(await lab.succeed('tunnel', 'token', 'new')), secretIn(token));
  const state = async (): Promise<string> => ((await lab.api('GET', `cfd_tunnel/${id}`)) as { status: string }).status;
  assert.equal(await state(), 'healthy');
  await connector.stop();
  assert.equal(await state(), 'down');
  await lab.succeed('tunnel', 'delete', 'new');
  assert.deepEqual(await lab.zoneApi('GET', 'dns_records'), []);
}

async function askReady(stage: Stage): Promise<void> {
  const lab = await Lab.open(stage);
  const { token } = await lab.makeTunnel('app');
  const connector = await lab.run({ protocol: 'quic', token, flags: ['--hello-world'] });
  const [, metrics = ''] = await connector.logged(/Starting metrics server on (\S+)\/metrics/);
  await lab.succeed('tunnel', '--metrics', metrics, 'ready');
  await connector.stop();
  const { code } = await lab.command(['tunnel', '--metrics', metrics, 'ready']);
  assert.notEqual(code, 0, 'a connector that has gone is ready');
}

/** Bundles of the tried program, of its own connector and of ours, and ours of its connector. */
async function diagnose(stage: Stage): Promise<void> {
  const lab = await Lab.open(stage);
  const { token } = await lab.makeTunnel('app');
  const own = await lab.run({ protocol: 'quic', connections: 1, flags: ['--hello-world'], token });
  const ours = startChild(
    [...posternCommand(), 'tunnel', ...lab.edgeFlags(1), '--hello-world', '--ha-connections', '1', 'run'],
    { home: lab.home, env: { TUNNEL_TOKEN: token } },
  );
  stage.after(() => ours.stop());
  await registered(ours, 1);
  const { tunnelID }: { tunnelID: string } = JSON.parse(
    (await lab.bundle(stage.program.words, own))['tunnelstate.json'],
  );
  for (const [words, connector] of [
    [stage.program.words, ours],
    [posternCommand(), own],
  ] as const) {
    const files = await lab.bundle(words, connector);
    const state = JSON.parse(files['tunnelstate.json']);
    assert.equal(state.tunnelID, tunnelID);
    assert.deepEqual(state.connections, [{ isConnected: true, protocol: 1, edgeAddress: '127.0.0.1' }]);
    assert.ok(JSON.parse(files['systeminformation.json']).info.memoryMaximum > 0);
    assert.match(files['metrics.txt'], /cloudflared_tunnel_ha_connections/);
    assert.equal(JSON.parse(files['configuration.json']).version, -1);
    assert.equal(JSON.parse(files['cli-configuration.json'])['hello-world'], 'true');
    // Gzip, as profiles are.
    for (const name of ['heap.pprof', 'goroutine.pprof'] as const) assert.match(files[name], /^\u001f\u008b/);
  }
}
