// tunnel route lb, tunnel pool and tunnel lb against a real edge, whose answers show what they changed.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { openBalancingWorld } from '../../test/support/balancing-world.ts';
import { temporaryDirectory } from '../../test/support/program.ts';
import { runPostern } from '../../test/support/run-cli.ts';
import { until } from '../../test/support/wait.ts';
import { printedSchemas } from '../printed/schemas.ts';

async function open(t: TestContext) {
  const world = await openBalancingWorld(t);
  const home = await temporaryDirectory(t);
  const cert = join(world.world.stateDir, 'cert.pem');
  const run = (...argv: string[]) => runPostern(home, ['tunnel', '--origincert', cert, ...argv]);
  return {
    world,
    async ok(...argv: string[]): Promise<string> {
      const { code, stdout, stderr } = await run(...argv);
      assert.deepEqual([code, stderr], [0, ''], argv.join(' '));
      return stdout;
    },
    async logs(...argv: string[]): Promise<string> {
      const { code, stdout, stderr } = await run(...argv);
      assert.deepEqual([code, stdout], [0, ''], stderr);
      return stderr;
    },
    async fails(argv: string[], code: number, message: RegExp): Promise<void> {
      const outcome = await run(...argv);
      assert.match(outcome.stderr, message);
      assert.deepEqual([outcome.code, outcome.stdout], [code, '']);
    },
  };
}

describe('commands of load balancing', () => {
  it('route lb makes load balancer and pool, and says which of them it changed', async t => {
    const { fails, logs, ok, world } = await open(t);
    const [a, b] = [await world.addOrigin('a'), await world.addOrigin('b')];
    const names = [a.tunnel.host, b.tunnel.host];
    const line = (text: string): RegExp => new RegExp(`^\\S+Z INF ${text} tunnelID=\\S+\n$`);
    const lb = (tunnel: string, host: string, pool: string) => logs('route', 'lb', tunnel, host, pool);
    const [one = '', two = ''] = names;
    assert.match(
      await lb(one, 'app', 'web'),
      line('Created load balancer app and added a new pool web with this tunnel as an origin'),
    );
    assert.match(await lb(one, 'app', 'web'), /already uses pool web which has this tunnel as an origin/);
    assert.match(await lb(two, 'app', 'web'), /Added this tunnel as an origin in pool web which is already used by/);
    assert.match(await lb(two, 'app', 'spare'), /Added new pool spare with this tunnel as an origin to load balancer/);
    assert.match(await lb(two, 'other', 'web'), /Created load balancer other with an existing pool web which already/);
    assert.match(await lb(one, 'other', 'spare'), /Updated pool spare to use this tunnel as an origin and added it/);
    assert.deepEqual([...(await world.spread('app.example.test', 60)).keys()].toSorted(), ['a', 'b']);
    assert.match(await ok('lb', 'list'), /app\.example\.test +true +off +none +web, spare +web/);
    await fails(['route', 'lb', one, 'a b', 'web'], 64, /a b is not a valid load balancer name/);
    await fails(['route', 'lb', one, 'app', 'p q'], 64, /p q is not a valid pool name/);
    await fails(['route', 'lb', one, 'app'], 64, /expects the format/);
    await fails(['route', 'lb', 'nobody', 'app', 'web'], 1, /neither the ID nor the name/);
  });

  it('pool and lb change members, steering, affinity and checks', async t => {
    const { fails, ok, world } = await open(t);
    const [a, b] = [await world.addOrigin('a'), await world.addOrigin('b')];
    await ok('pool', 'create', 'web', '--steering', 'least');
    assert.equal(await ok('pool', 'add', 'web', a.tunnel.host, '-n', 'first'), 'Added first in pool web\n');
    assert.equal(
      await ok('pool', 'add', 'web', b.tunnel.id, '-n', 'second', '-w', '0.5'),
      'Added second in pool web\n',
    );
    assert.equal(await ok('pool', 'add', 'web', a.tunnel.id, '-n', 'first', '-w', '0'), 'Changed first in pool web\n');
    await ok('lb', 'create', 'lb', 'web', '--affinity', 'cookie', '--affinity-ttl', '1h');
    const visit = await world.visit('lb.example.test');
    assert.equal(visit.body, 'b');
    assert.match(visit.cookies[0] ?? '', /Max-Age=3600/);
    assert.match(await ok('pool', 'list'), /web +true +least_outstanding_requests no +second 0\.5, first 0/);
    await ok('pool', 'check', 'web', '--interval', '1s', '--path', '/health');
    await until('checks', () => a.checks > 0 && b.checks > 0);
    await until('the word of a check', async () =>
      /second +\S+ +up +1\/1 +[1-9]/.test(await ok('pool', 'health', 'web')),
    );
    await ok('pool', 'check', 'web', '--off');
    assert.deepEqual(await world.client.listMonitors({ params: world.account }), []);
    await ok('pool', 'update', 'web', '--steering', 'hash', '--hash-cookie', 'user');
    await ok('pool', 'remove', 'web', 'second');
    assert.match(await ok('pool', 'list', '-o', 'json'), /"policy": "hash",\n +"hash_cookie": "user"/);
    await ok('pool', 'add', 'web', a.tunnel.host);
    await ok('lb', 'update', 'lb', '--steering', 'random', '--affinity', 'none');
    assert.equal((await world.visit('lb.example.test')).cookie, undefined);
    for (const shown of ['pool list', 'pool health web', 'lb list']) {
      const schema = printedSchemas[`tunnel ${shown.replace(' web', '')}`] ?? assert.fail();
      schema.parse(JSON.parse(await ok(...shown.split(' '), '-o', 'json')));
    }
    await fails(['pool', 'delete', 'web'], 1, /Pool is used by lb\.example\.test: take it out there first/);
    await ok('lb', 'delete', 'lb.example.test');
    assert.equal((await world.visit('lb.example.test')).status, 404);
    await ok('pool', 'delete', 'web');
    assert.match(await ok('pool', 'list'), /^There are no pools/);
    assert.match(await ok('lb', 'list'), /^There are no load balancers/);
  });

  it('refuse what is wrong, and say what would be right', async t => {
    const { fails, ok } = await open(t);
    await ok('pool', 'create', 'web');
    await fails(['pool', 'create', 'web'], 1, /The name web is taken/);
    await fails(['pool', 'create', 'a b'], 1, /name: must be of letters/);
    await fails(['pool', 'create', 'x', '--steering', 'best'], 64, /none of random, hash and least/);
    await fails(['pool', 'create', 'x', '--hash-cookie', 'c'], 64, /needs --steering hash/);
    await fails(['pool', 'add', 'web', 'nobody.example.test'], 1, /add it with tunnel route dns/);
    await fails(['pool', 'add', 'web', 'nobody'], 1, /neither the ID nor the name/);
    await fails(['pool', 'add', 'web', '10.0.0.1', '--vnet', 'none'], 1, /no virtual network named none/);
    await fails(['pool', 'add', 'web', '10.0.0.1', '--weight', '2'], 64, /not between 0 and 1/);
    await fails(['pool', 'remove', 'web', 'x'], 1, /web has no member x; it has none/);
    await fails(['pool', 'update', 'web'], 64, /^Nothing to change/);
    await fails(['pool', 'health', 'none'], 1, /There is no pool none/);
    await fails(['pool', 'check', 'web', '--codes', 'good'], 1, /must be like 2xx/);
    await fails(['pool', 'check', 'web', '--path', 'x y'], 1, /must begin with \//);
    await fails(['lb', 'create', 'lb', 'none'], 1, /There is no pool none/);
    await fails(['lb', 'create', 'lb', 'web', '--affinity', 'header'], 64, /go together/);
    await fails(['lb', 'update', 'none', '--steering', 'random'], 1, /There is no load balancer none/);
    await fails(['lb', 'create', 'lb', 'web', '--affinity-ttl', '1s'], 1, /session_affinity_ttl/);
  });
});
