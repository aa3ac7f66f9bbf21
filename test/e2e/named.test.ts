// `tunnel --name`: one command creates a tunnel, routes a host name to it and runs it; the next time it finds both there.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { startProgram } from '../support/program.ts';
import { runPostern } from '../support/run-cli.ts';
import { TunnelWorld } from '../support/tunnel-world.ts';
import { until } from '../support/wait.ts';

it('creates, routes and runs a tunnel, by a load balancer where a pool is named', async t => {
  const world = await TunnelWorld.open(t);
  const origin = ['--url', `http://127.0.0.1:${world.originPort}`, '--ha-connections', '1', '--metrics', '127.0.0.1:0'];
  const start = (...flags: string[]) => startProgram(t, ['tunnel', ...origin, ...flags], { home: world.home });
  const serves = (host: string) => async () => (await world.get('/here', { Host: host })).text === 'origin /here';

  const first = start('--name', 'new', '--hostname', 'new.localhost');
  await first.logged(/Added CNAME new\.localhost/);
  await until('the new tunnel to serve', serves('new.localhost'));
  assert.match(first.output(), /Created tunnel new with id/);
  assert.equal(await first.stop(), 0);

  const again = start('--name', 'new', '--hostname', 'web.localhost', '--lb-pool', 'web');
  await again.logged(/Created load balancer web\.localhost and added a new pool web/);
  await until('the load balancer to serve', serves('web.localhost'));
  assert.doesNotMatch(again.output(), /Created tunnel/);
  assert.equal(await again.stop(), 0);

  const refused = await runPostern(world.home, ['tunnel', '--name', 'other', '--hostname', 'http://x']);
  assert.equal(refused.code, 64, refused.stderr);
  const { stdout } = await runPostern(world.home, ['tunnel', 'list', '-o', 'json']);
  const names = (JSON.parse(stdout) as { name: string }[]).map(({ name }) => name);
  assert.deepEqual(names.sort(), ['app', 'new']);
});
