// Load balancing of a real edge with real connectors: where requests go, what becomes of them when an origin or a connector
// dies, sessions, health checks.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { killServer, openBalancingWorld } from '../../../test/support/balancing-world.ts';
import { readMetrics } from '../../../test/support/read-metrics.ts';
import { until } from '../../../test/support/wait.ts';
import { LogTap } from '../../telemetry/log-tap.ts';

const host = 'lb.example.test';

describe('a load balancer', () => {
  it('spreads by weight, and gives nothing to a member of weight 0 or one that is disabled', async t => {
    const world = await openBalancingWorld(t);
    const [a, b, c, d] = [
      await world.addOrigin('a'),
      await world.addOrigin('b'),
      await world.addOrigin('c'),
      await world.addOrigin('d'),
    ];
    const weighted = [
      { ...a, weight: 1 },
      { ...b, weight: 0.25 },
      { ...c, weight: 0 },
    ];
    const pool = await world.addPool('web', weighted);
    await world.client.patchPool({
      params: { ...world.account, id: pool.id },
      body: { origins: [...pool.origins, { name: 'd', address: d.tunnel.id, enabled: false }] },
    });
    await world.addBalancer(host, [pool]);
    const spread = await world.spread(host, 400);
    assert.deepEqual([...spread.keys()].toSorted(), ['a', 'b']);
    // 80 are expected of b, with a deviation of 8.
    const ofB = spread.get('b') ?? 0;
    assert.ok(ofB > 40 && ofB < 120, `${ofB} of 400 went to b`);
  });

  it('asks the one with the least to do', async t => {
    const world = await openBalancingWorld(t);
    const [a, b] = [await world.addOrigin('a'), await world.addOrigin('b')];
    const pool = await world.addPool('web', [a, b], { origin_steering: { policy: 'least_outstanding_requests' } });
    await world.addBalancer(host, [pool]);
    const waiting = () => [a, b].map(one => one.seen.filter(({ url }) => url === '/hang').length);
    for (let count = 1; count <= 6; count += 1) {
      // Never answered: it ends with the edge.
      void world.visit(host, { path: '/hang' }).catch(() => undefined);
      await until('the request at an origin', () => waiting().reduce((sum, one) => sum + one) === count);
    }
    assert.deepEqual(waiting(), [3, 3]);
  });

  it('hashes the visitor’s address, or a cookie', async t => {
    const world = await openBalancingWorld(t);
    const origins = [await world.addOrigin('a'), await world.addOrigin('b'), await world.addOrigin('c')];
    const pool = await world.addPool('web', origins, { origin_steering: { policy: 'hash', hash_cookie: 'user' } });
    await world.addBalancer(host, [pool]);
    assert.equal((await world.spread(host, 40)).size, 1);
    const users = new Map<string, string>();
    for (let user = 0; user < 30; user += 1) {
      const headers = { cookie: `x=1; user=u${user}` };
      const [first, second] = [await world.visit(host, { headers }), await world.visit(host, { headers })];
      assert.equal(first.body, second.body);
      users.set(`u${user}`, first.body);
    }
    assert.equal(new Set(users.values()).size, 3);
  });

  it('fails over to the next pool, then to the fallback pool, and back', async t => {
    const world = await openBalancingWorld(t);
    const [a, b, last] = [await world.addOrigin('a'), await world.addOrigin('b'), await world.addOrigin('last')];
    const pools = [await world.addPool('first', [a]), await world.addPool('second', [b])];
    const fallback = await world.addPool('fallback', [last]);
    await world.addBalancer(host, pools, { fallback_pool: fallback.id });
    assert.deepEqual([...(await world.spread(host, 20)).keys()], ['a']);
    a.connector.abort();
    await until('the connector to be gone', () => world.world.edge.registry.connectionsOf(a.tunnel.id).length === 0);
    assert.deepEqual([...(await world.spread(host, 20)).keys()], ['b']);
    b.connector.abort();
    await until('the connector to be gone', () => world.world.edge.registry.connectionsOf(b.tunnel.id).length === 0);
    assert.deepEqual([...(await world.spread(host, 20)).keys()], ['last']);
    await world.connect(a.tunnel, a.port);
    assert.deepEqual([...(await world.spread(host, 20)).keys()], ['a']);
  });

  it('retries elsewhere what may be retried, and asks a dead origin no more after two failures', async t => {
    const world = await openBalancingWorld(t);
    const [a, b] = [await world.addOrigin('a'), await world.addOrigin('b')];
    const pool = await world.addPool('web', [a, b]);
    await world.addBalancer(host, [pool]);
    killServer(a.server);
    assert.deepEqual([...(await world.spread(host, 60)).keys()], ['b']);
    const { pop_health: places } = await world.client.getPoolHealth({ params: { ...world.account, id: pool.id } });
    assert.deepEqual(
      places.tst01?.origins.map(one => Object.values(one).map(({ name, healthy }) => [name, healthy])),
      [[['a', false]], [['b', true]]],
    );
    // What may not be retried goes to the living from now on.
    const posts = await world.spread(host, 30, { method: 'POST', body: '!' });
    assert.deepEqual([...posts.keys()], ['b!']);
  });

  it('takes a member out after failed checks, and in again after good ones', async t => {
    const world = await openBalancingWorld(t, { metrics: { host: '127.0.0.1', port: 0 } });
    const [a, b] = [await world.addOrigin('a'), await world.addOrigin('b')];
    const monitor = await world.client.createMonitor({
      params: world.account,
      body: { interval: 1, expected_body: 'well', path: '/health' },
    });
    const pool = await world.addPool('web', [a, b], { monitor: monitor.id });
    await world.addBalancer(host, [pool]);
    await until('checks of both', () => a.checks > 0 && b.checks > 0);
    a.sickStatus = 503;
    const isUp = async () => {
      const { pop_health: places } = await world.client.getPoolHealth({ params: { ...world.account, id: pool.id } });
      return Object.values(places.tst01?.origins[0] ?? {})[0] ?? assert.fail();
    };
    await until('a to be down', async () => !(await isUp()).healthy);
    const { failure_reason: reason, response_code: code } = await isUp();
    assert.match(reason, /status 503; expected is 2xx/);
    assert.equal(code, 503);
    const before = a.seen.length;
    // The origin itself still answers: only the checks keep visitors away.
    assert.deepEqual([...(await world.spread(host, 40)).keys()], ['b']);
    assert.equal(a.seen.length, before);
    const metrics = await readMetrics(world.world.edge.metrics ?? assert.fail());
    assert.equal(metrics.get(`postern_pool_members_up{pool="${pool.id}"}`), 1);
    assert.ok((metrics.get('postern_pool_checks_total{outcome="failed"}') ?? 0) >= 2);
    a.sickStatus = undefined;
    await until('a to be up', async () => (await isUp()).healthy);
    assert.deepEqual([...(await world.spread(host, 40)).keys()].toSorted(), ['a', 'b']);
  });

  it('spreads over the replicas of one tunnel, and leaves out one whose origin is dead', async t => {
    const world = await openBalancingWorld(t);
    const a = await world.addOrigin('a');
    const b = await world.serve('b');
    await world.connect(a.tunnel, b.port);
    const pool = await world.addPool('web', [a]);
    await world.addBalancer(host, [pool]);
    const spread = await world.spread(host, 100);
    assert.ok((spread.get('a') ?? 0) > 25 && (spread.get('b') ?? 0) > 25, JSON.stringify([...spread]));
    killServer(b.server);
    assert.deepEqual([...(await world.spread(host, 60)).keys()], ['a']);
  });

  it('asks another host where a member says so, and members that are public host names', async t => {
    const world = await openBalancingWorld(t);
    const a = await world.addOrigin('a');
    const pool = await world.client.createPool({
      params: world.account,
      body: {
        name: 'web',
        origins: [
          { name: 'named', address: a.tunnel.host, weight: 0.5 },
          { name: 'told', address: a.tunnel.id, header: { Host: ['inner.test'] }, weight: 0.5 },
        ],
      },
    });
    await world.addBalancer(host, [pool]);
    await world.spread(host, 40);
    assert.deepEqual([...new Set(a.seen.map(one => one.host))].toSorted(), ['inner.test', a.tunnel.host]);
  });

  it('takes precedence over the route of its name, which serves again without it', async t => {
    const world = await openBalancingWorld(t);
    const [a, b] = [await world.addOrigin('a'), await world.addOrigin('b')];
    const pool = await world.addPool('web', [b]);
    const balancer = await world.addBalancer(a.tunnel.host, [pool]);
    const params = { ...world.zone, id: balancer.id };
    assert.equal((await world.visit(a.tunnel.host)).body, 'b');
    await world.client.patchBalancer({ params, body: { enabled: false } });
    assert.equal((await world.visit(a.tunnel.host)).body, 'a');
    await world.client.patchBalancer({ params, body: { enabled: true } });
    assert.equal((await world.visit(a.tunnel.host)).body, 'b');
    await world.client.deleteBalancer({ params });
    assert.equal((await world.visit(a.tunnel.host)).body, 'a');
  });
});

describe('a session', () => {
  it('by cookie stays with its member and connector, over a restart of the edge', async t => {
    const first = await openBalancingWorld(t);
    const [a, b] = [await first.addOrigin('a'), await first.addOrigin('b')];
    const pool = await first.addPool('web', [a, b]);
    await first.addBalancer(host, [pool], { session_affinity: 'cookie' });
    const began = await first.visit(host);
    const [cookie = ''] = began.cookies;
    assert.match(cookie, /^__cflb=[-_0-9A-Za-z]{48}; Path=\/; Max-Age=82800; HttpOnly; SameSite=Lax$/);
    const headers = { cookie: `theme=dark; ${began.cookie}` };
    assert.deepEqual([...(await first.spread(host, 40, { headers }))], [[began.body, 40]]);
    assert.equal((await first.visit(host, { headers })).cookie, undefined);
    await first.world.edge.stop();
    const second = await openBalancingWorld(t, { stateDir: first.world.stateDir });
    for (const one of [a, b]) await second.connect(one.tunnel, one.port);
    const bodies = await second.spread(host, 40, { headers });
    assert.deepEqual([...bodies], [[began.body, 40]]);
    // Its member gone, the session moves and says so.
    const [own, other] = began.body === 'a' ? [a, b] : [b, a];
    killServer(own.server);
    const moved = await second.visit(host, { headers });
    assert.equal(moved.body, other.name);
    assert.notEqual(moved.cookie, undefined);
    for (const forged of ['__cflb=x', `__cflb=${'A'.repeat(48)}`, `${began.cookie?.slice(0, -4)}AAAA`])
      assert.notEqual((await second.visit(host, { headers: { cookie: forged } })).cookie, undefined, forged);
  });

  it('by header or address needs no memory at all', async t => {
    const world = await openBalancingWorld(t);
    const origins = [await world.addOrigin('a'), await world.addOrigin('b'), await world.addOrigin('c')];
    const pool = await world.addPool('web', origins);
    const byHeader = await world.addBalancer(host, [pool], {
      session_affinity: 'header',
      session_affinity_attributes: { headers: ['X-User'] },
    });
    const seen = new Set<string>();
    for (let user = 0; user < 20; user += 1) {
      const spread = await world.spread(host, 5, { headers: { 'x-user': `u${user}` } });
      assert.equal(spread.size, 1);
      for (const name of spread.keys()) seen.add(name);
    }
    assert.equal(seen.size, 3);
    assert.ok((await world.spread(host, 40)).size > 1);
    const params = { ...world.zone, id: byHeader.id };
    await world.client.patchBalancer({ params, body: { session_affinity: 'ip' } });
    assert.equal((await world.spread(host, 30)).size, 1);
    if (process.platform === 'linux') {
      const names = new Set<string>();
      for (let last = 1; last <= 30; last += 1) names.add((await world.visit(host, { from: `127.0.1.${last}` })).body);
      assert.equal(names.size, 3);
    }
  });
});

describe('the connectors’ own host name', () => {
  const [head, body] = [{ alg: 'none' }, { tun: { id: '', account_tag: 'x' }, actor: { id: 'mallory' } }];
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const forge = (id: string): string => `${part(head)}.${part({ ...body, tun: { ...body.tun, id } })}.AAAA`;

  it('is refused to members and monitors, and reaches no connector from whatever was kept', async t => {
    const world = await openBalancingWorld(t, { managementHost: 'own.example.test' });
    const { account, client } = world;
    const tap = new LogTap();
    const remote = { host: 'own.example.test', label: 'front', diagnostics: true, tap };
    const a = await world.addOrigin('a', { remote });
    for (const name of ['management.argotunnel.com', 'MANAGEMENT.argotunnel.com:443', 'management.argotunnel.com.']) {
      const header = { Host: [name] };
      const member = { name: 'm', address: a.tunnel.id, header };
      await assert.rejects(client.createPool({ params: account, body: { name: 'p', origins: [member] } }), {
        message: /the connectors' own name/,
      });
      await assert.rejects(client.createMonitor({ params: account, body: { header } }), { message: /own name/ });
    }
    // The name of this edge alone no schema knows.
    const header = { Host: ['own.example.test'] };
    const monitor = await client.createMonitor({ params: account, body: { header, path: '/ping', interval: 1 } });
    const members = [{ name: 'm', address: a.tunnel.id, header }];
    const pool = await client.createPool({
      params: account,
      body: { name: 'p', origins: members, monitor: monitor.id },
    });
    await world.addBalancer(host, [pool]);
    const path = `/host_details?access_token=${forge(a.tunnel.id)}`;
    const answer = await world.visit(host, { path });
    assert.equal(answer.status, 502);
    assert.doesNotMatch(answer.body, /custom:front/);
    await until('a check', async () => {
      const { pop_health: places } = await client.getPoolHealth({ params: { ...account, id: pool.id } });
      const [one] = places.tst01?.origins.flatMap(origin => Object.values(origin)) ?? [];
      return one?.failure_reason.includes("connectors' own") === true;
    });
    assert.deepEqual(a.seen, []);
  });

  it('leads a visitor nowhere, though a wildcard covers it', async t => {
    const world = await openBalancingWorld(t, { domain: 'argotunnel.com' });
    const tunnel = await world.world.makeTunnel('*.argotunnel.com');
    const remote = { host: 'management.argotunnel.com', label: 'front', diagnostics: true, tap: new LogTap() };
    await world.world.connect(tunnel, [{ service: 'http_status:204' }], { remote });
    const path = `/host_details?access_token=${forge(tunnel.id)}`;
    assert.equal((await world.visit('app.argotunnel.com', { path })).status, 204);
    for (const name of ['management.argotunnel.com', 'Management.Argotunnel.com:80', 'management.argotunnel.com.'])
      assert.equal((await world.visit(name, { path })).status, 404, name);
  });
});
