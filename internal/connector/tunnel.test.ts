import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import type { Answer } from 'dns-packet';
import { openTestDns } from '../../test/support/dns-server.ts';
import { listen } from '../../test/support/origin-server.ts';
import { refusal, SmallEdge } from '../../test/support/small-edge.ts';
import { TestClock } from '../../test/support/test-clock.ts';
import { until, within } from '../../test/support/wait.ts';
import { srvName } from '../discovery/discover.ts';
import { createDns } from '../discovery/dns.ts';
import { isPosternError, PosternError } from '../errors/error.ts';
import { systemClock } from '../net/time/clock.ts';
import { parseRemoteConfig } from '../schema/remote-config.ts';
import { silentLogger } from '../telemetry/logger.ts';
import { dialTransport } from '../transport/open/dial.ts';
import { RolloutWatch } from './configuration/rollout-watch.ts';
import { fixedProtocol } from './protocol/protocol-policy.ts';
import { openTunnel, type TunnelOptions } from './tunnel.ts';

async function start(t: TestContext, edges: readonly SmallEdge[], options: Partial<TunnelOptions> = {}) {
  const tunnel = await openTunnel({
    accountTag: 'account',
    tunnelId: '11111111-2222-4333-8444-555555555555',
    tunnelSecret: Buffer.from('secret'),
    edge: {
      addresses: edges.map(edge => ({ host: '127.0.0.1', port: edge.port })),
      region: undefined,
      ipVersion: 'auto',
      bindAddress: undefined,
      ca: edges.slice(0, 1).map(edge => edge.ca.cert),
      caPin: undefined,
      rootsFile: '/nonexistent/roots.pem',
    },
    ingress: parseRemoteConfig({ ingress: [{ service: 'http_status:200' }] }),
    shownFlags: { retries: '5' },
    policy: fixedProtocol('http2'),
    haConnections: 1,
    retries: 5,
    gracePeriodMs: 10_000,
    rpcTimeoutMs: 5_000,
    postQuantum: false,
    features: [],
    tags: {},
    maxActiveFlows: undefined,
    privateNetwork: { allowedDestinations: [], resolvers: [], echo: undefined },
    metrics: { host: '127.0.0.1', port: 0 },
    quickTunnelHost: '',
    version: '0.0.0',
    dial: dialTransport,
    logger: silentLogger(),
    // Back-off waits are full jitter: almost none, so that tests need not wait them out.
    random: () => 0.001,
    ...options,
  });
  const end = tunnel.run().then(
    () => undefined,
    (error: unknown) => error,
  );
  t.after(async () => {
    tunnel.abort();
    await within('the tunnel to end', end);
  });
  return { tunnel, end };
}

/** Edges of one test share an authority: two of the same name would confuse chain building. */
async function openEdge(t: TestContext, like?: SmallEdge): Promise<SmallEdge> {
  const edge = await SmallEdge.open(like === undefined ? {} : { ca: like.ca });
  t.after(() => edge.close());
  return edge;
}

async function get(tunnel: Awaited<ReturnType<typeof start>>['tunnel'], path: string) {
  const { host, port } = tunnel.health?.address ?? assert.fail('no health server');
  const response = await fetch(`http://${host}:${port}${path}`, { headers: { connection: 'close' } });
  return { status: response.status, text: await response.text() };
}

describe('tunnel over HTTP/2 with a real edge', () => {
  it('registers, pushes its configuration, serves requests and tells its health', async t => {
    const edge = await openEdge(t);
    const origin = await listen(
      t,
      createServer((request, response) => response.end(`hello ${request.url}`)),
    );
    const ingress = parseRemoteConfig({ ingress: [{ service: `http://127.0.0.1:${origin}` }] });
    const { tunnel } = await start(t, [edge], { ingress, quickTunnelHost: 'calm-otter.example.com' });
    await until('one registration', () => edge.registered.length === 1);
    assert.equal((await edge.request(0, { path: '/world' })).text, 'hello /world');
    await until('the local configuration', () => edge.localConfigurations.length === 1);
    const pushed = JSON.parse(edge.localConfigurations[0] ?? '');
    assert.equal(pushed.ingress[0].service, `http://127.0.0.1:${origin}`);
    assert.equal(pushed.__configuration_flags.retries, '5');
    assert.equal(JSON.parse((await get(tunnel, '/ready')).text).readyConnections, 1);
    assert.equal(JSON.parse((await get(tunnel, '/config')).text).version, -1);
    const metrics = (await get(tunnel, '/metrics')).text;
    assert.match(metrics, /^cloudflared_tunnel_response_by_code\{status_code="200"\} 1$/m);
    assert.match(metrics, /^cloudflared_tunnel_total_requests 1$/m);
    assert.match(metrics, /^cloudflared_tunnel_concurrent_requests_per_tunnel 0$/m);
    assert.match(metrics, /^cloudflared_tunnel_ha_connections 1$/m);
    assert.match(
      metrics,
      /^cloudflared_tunnel_user_hostnames_counts\{userHostname="https:\/\/calm-otter\.example\.com"\} 1$/m,
    );
    assert.match(metrics, /^cloudflared_tunnel_server_locations\{connection_id="0",edge_location="tst01"\} 1$/m);
  });

  it('keeps four connections on one static address, and replaces those that die', async t => {
    const edge = await openEdge(t);
    const { tunnel } = await start(t, [edge], { haConnections: 4 });
    await until('four registrations', () => edge.registered.length === 4);
    assert.deepEqual(edge.indexes, [0, 1, 2, 3]);
    assert.equal(new Set(edge.attempts.map(request => request.clientId)).size, 1);
    const old = [edge.connection(1), edge.connection(2)];
    for (const connection of old) connection.abort(new PosternError('connection.closed', 'killed'));
    await until(
      'replacements',
      () => edge.registered.length === 4 && !edge.registered.some(entry => old.includes(entry.connection)),
    );
    await until('readiness', () => tunnel.connector.readyCount === 4);
    assert.deepEqual(edge.indexes, [0, 1, 2, 3]);
  });

  it('survives the edge: goes on trying, and comes back with it', async t => {
    const first = await SmallEdge.open();
    const { tunnel } = await start(t, [first]);
    await until('a registration', () => tunnel.connector.readyCount === 1);
    await first.close();
    await until('the loss', () => tunnel.connector.readyCount === 0);
    assert.equal((await get(tunnel, '/ready')).status, 503);
    const second = await SmallEdge.open({ port: first.port, ca: first.ca });
    t.after(() => second.close());
    await until('a new registration', () => tunnel.connector.readyCount === 1);
    assert.equal((await second.request(0)).status, 200);
  });

  it('finds the edge by DNS: SRV records, then addresses', async t => {
    const edge = await openEdge(t);
    const name = srvName('us');
    const srv = (target: string, priority: number): Answer => ({
      type: 'SRV',
      name,
      data: { target, port: edge.port, priority, weight: 1 },
    });
    const a = (host: string, data: string): [string, Answer[]] => [`A ${host}`, [{ type: 'A', name: host, data }]];
    const records = new Map([
      a('us-region1.example', '127.0.0.1'),
      a('us-region2.example', '127.0.0.1'),
      [`SRV ${name}`, [srv('us-region1.example', 1), srv('us-region2.example', 2)]],
    ]);
    const server = await openTestDns({ records });
    t.after(() => server.close());
    const { tunnel } = await start(t, [edge], {
      haConnections: 4,
      edge: {
        addresses: [],
        region: 'us',
        ipVersion: 'auto',
        bindAddress: undefined,
        ca: [edge.ca.cert],
        caPin: undefined,
        rootsFile: '/nonexistent/roots.pem',
        dns: createDns({ servers: [`127.0.0.1:${server.port}`] }),
      },
    });
    await until('a connection for each of the two addresses', () => edge.registered.length === 2);
    await until('readiness', () => tunnel.connector.readyCount === 2);
    assert.deepEqual(edge.indexes, [0, 1]);
  });

  it('goes to the other edge when one says duplicate', async t => {
    const one = await openEdge(t);
    const two = await openEdge(t, one);
    one.judge = () => refusal('EDUPCONN');
    two.judge = () => (one.attempts.length === 0 ? refusal('EDUPCONN') : undefined);
    await start(t, [one, two]);
    await until('a registration', () => two.registered.length === 1);
    assert.ok(one.attempts.length >= 1);
  });

  it('closes what it opened when a later part fails', async t => {
    const edge = await openEdge(t);
    const taken = createServer();
    const port = await listen(t, taken);
    let closed = 0;
    class CountedWatch extends RolloutWatch {
      override close(): void {
        closed += 1;
        super.close();
      }
    }
    const rollout = new CountedWatch({ dns: createDns(), accountTag: '', clock: systemClock, logger: silentLogger() });
    const metrics = { host: '127.0.0.1', port };
    await assert.rejects(start(t, [edge], { metrics, rollout }), (error: unknown) =>
      isPosternError(error, 'listen.failed'),
    );
    assert.equal(closed, 1);
  });

  it('ends with refused credentials', async t => {
    const edge = await openEdge(t);
    edge.judge = () => refusal('Unauthorized: Invalid tunnel secret');
    // A minute passes in a moment.
    const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() * 200 };
    const { end } = await start(t, [edge], { clock });
    assert.ok(isPosternError(await within('the end', end), 'credentials.refused'));
    assert.ok(edge.attempts.length >= 3);
  });

  it('does not trust an edge of another authority, and does not end for that either', async t => {
    const [edge, other] = [await openEdge(t), await openEdge(t)];
    const edgeSettings = {
      addresses: [{ host: '127.0.0.1', port: edge.port }],
      region: undefined,
      ipVersion: 'auto' as const,
      bindAddress: undefined,
      ca: [other.ca.cert],
      caPin: undefined,
      rootsFile: '',
    };
    const { tunnel } = await start(t, [edge], { edge: edgeSettings });
    const { promise, resolve } = Promise.withResolvers<string>();
    tunnel.connector.once('registrationFailed', failure => resolve(failure.reason));
    assert.equal(await within('the failure', promise), 'tls.failed');
    assert.equal(edge.attempts.length, 0);
  });

  it('takes pushed configurations, refuses bad ones and its own endpoint, and answers as recorded', async t => {
    const edge = await openEdge(t);
    edge.remotelyManaged = true;
    const { tunnel } = await start(t, [edge]);
    await until('a registration', () => edge.registered.length === 1);
    const push = (version: number, config: unknown) =>
      edge.connection(0).configure({ version, json: JSON.stringify(config) }, 10_000);
    const applied = { version: 7, error: undefined };
    assert.deepEqual(await push(7, { ingress: [{ service: 'http_status:418' }] }), applied);
    assert.equal((await edge.request(0)).status, 418);
    assert.deepEqual(await push(7, { ingress: [{ service: 'http_status:200' }] }), applied);
    assert.equal((await edge.request(0)).status, 418);
    const bad = await push(8, { ingress: [{ hostname: 'a.example', service: 'http_status:200' }] });
    assert.equal(bad.version, 7);
    assert.notEqual(bad.error, undefined);
    const own = await push(9, { ingress: [{ service: `http://localhost:${tunnel.health?.address.port}` }] });
    assert.equal(own.version, 7);
    assert.match(own.error ?? '', /metrics address/);
    assert.equal(JSON.parse((await get(tunnel, '/config')).text).version, 7);
    assert.equal(edge.localConfigurations.length, 0);
  });

  it('never lets a visitor reach the metrics endpoint, whatever name leads there', async t => {
    const edge = await openEdge(t);
    const { tunnel } = await start(t, [edge]);
    await until('a registration', () => edge.registered.length === 1);
    await tunnel.reload(
      parseRemoteConfig({ ingress: [{ service: `http://localhost:${tunnel.health?.address.port}` }] }),
      { maxActiveFlows: undefined, tags: {}, allowedDestinations: [] },
    );
    const { status, text } = await edge.request(0, { path: '/config', host: 'localhost' });
    assert.equal(status, 403);
    assert.equal(text, 'forbidden\n');
  });

  it('stops in order: unregisters, finishes what runs, and is gone', async t => {
    const edge = await openEdge(t);
    const gate = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const origin = await listen(
      t,
      createServer(async (_request, response) => {
        response.write('first ');
        asked.resolve();
        await gate.promise;
        response.end('last');
      }),
    );
    const ingress = parseRemoteConfig({ ingress: [{ service: `http://127.0.0.1:${origin}` }] });
    const { tunnel, end } = await start(t, [edge], { ingress });
    await until('a registration', () => edge.registered.length === 1);
    const [entry] = edge.registered;
    const answer = edge.request(0);
    await asked.promise;
    const stopped = tunnel.stop();
    await until('the unregistration', () => entry?.unregistered === true);
    assert.equal(tunnel.connector.readyCount, 0);
    gate.resolve();
    assert.equal((await answer).text, 'first last');
    await within('the stop', stopped);
    assert.equal(await within('the end', end), undefined);
    await until('the edge to notice', () => edge.registered.length === 0);
  });

  it('moves to another edge when one drains, without losing a request', async t => {
    const one = await openEdge(t);
    const two = await openEdge(t, one);
    let gateOpen = (): void => undefined;
    const gate = new Promise<void>(resolve => {
      gateOpen = resolve;
    });
    const asked = Promise.withResolvers<void>();
    const origin = await listen(
      t,
      createServer(async (_request, response) => {
        asked.resolve();
        await gate;
        response.end('slow');
      }),
    );
    const ingress = parseRemoteConfig({ ingress: [{ service: `http://127.0.0.1:${origin}` }] });
    const { tunnel } = await start(t, [one, two], { ingress });
    await until('a registration', () => one.registered.length + two.registered.length === 1);
    const from = one.registered.length === 1 ? one : two;
    const to = from === one ? two : one;
    const answer = from.request(0);
    await asked.promise;
    const drained = from.drain(10_000);
    gateOpen();
    assert.equal((await answer).text, 'slow');
    await within('the drain', drained);
    await until('a registration at the other edge', () => to.registered.length === 1);
    await until('readiness', () => tunnel.connector.readyCount === 1);
  });

  it('spreads over both edges again after one was away', async t => {
    const clock = new TestClock();
    const home = await openEdge(t);
    let other = await openEdge(t, home);
    const edges = (): readonly SmallEdge[] => [home, other];
    const uses = (): number[] => edges().map(edge => edge.registered.length);
    // Time stands still while a registration is under way: its limits are meant for real time.
    const pass = async (): Promise<void> => {
      if (edges().every(edge => edge.open === edge.registered.length)) await clock.advance(1_000);
    };
    const reach = (what: string, wanted: readonly number[]): Promise<void> =>
      until(what, async () => {
        await pass();
        return uses().every((count, at) => count === wanted[at]);
      });
    const { tunnel } = await start(t, edges(), { clock, haConnections: 4 });
    await reach('two connections at each edge', [2, 2]);
    await other.close();
    await reach('all at the one that is left', [4, 0]);
    other = await SmallEdge.open({ port: other.port, ca: home.ca });
    t.after(() => other.close());
    await until('two connections at each edge again', async () => {
      await pass();
      assert.ok(tunnel.connector.readyCount >= 3, `${tunnel.connector.readyCount} connections`);
      return uses().every(count => count === 2);
    });
    assert.deepEqual(
      edges()
        .flatMap(edge => edge.indexes)
        .sort(),
      [0, 1, 2, 3],
    );
    assert.equal((await other.request(other.indexes[0] ?? 0)).status, 200);
  });
});
