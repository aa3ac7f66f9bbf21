// What container health checks ask: `tunnel ready` and `healthcheck`, of a real connector and a real edge.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { describe, it } from 'node:test';
import { listen } from '../support/origin-server.ts';
import { temporaryDirectory } from '../support/program.ts';
import { runPostern } from '../support/run-cli.ts';
import { TunnelWorld } from '../support/tunnel-world.ts';
import { until } from '../support/wait.ts';

describe('health checks', { timeout: 120_000 }, () => {
  it('follow a connector and its edge', async t => {
    const world = await TunnelWorld.open(t, { edgeFlags: ['--metrics', '127.0.0.1:0'] });
    const [, edgeAddress = ''] = await world.edge.logged(/Serving metrics address=(\S+)/);
    const ofEdge = await runPostern(world.home, ['healthcheck', '--metrics', edgeAddress]);
    assert.equal(ofEdge.code, 0, ofEdge.stderr);
    assert.equal(ofEdge.stdout, `http://${edgeAddress}/ready answers 200: {"status":200,"connections":0}\n`);

    const connector = await world.connect();
    const [, address = ''] = await connector.logged(/Starting metrics server on (\S+)\/metrics/);
    const ready = () => runPostern(world.home, ['tunnel', '--metrics', address, 'ready']);
    assert.deepEqual(await ready(), { code: 0, stdout: '', stderr: '' });
    const byVariable = await runPostern(world.home, ['tunnel', 'ready'], { TUNNEL_METRICS: address });
    assert.equal(byVariable.code, 0, byVariable.stderr);
    assert.equal((await runPostern(world.home, ['healthcheck'], { TUNNEL_METRICS: address })).code, 0);

    await world.stopEdge('SIGKILL');
    await until('the connector not to be ready', async () => (await ready()).code === 1);
    assert.match(
      (await ready()).stderr,
      new RegExp(
        `^http://${address}/ready endpoint returned status code 503 \\[health\\.failed\\]\n\\{"status":503,"readyConnections":0`,
      ),
    );
    const unready = await runPostern(world.home, ['healthcheck', '--metrics', address]);
    assert.equal(unready.code, 1);
    assert.match(unready.stderr, /\/ready answers 503: \{"status":503/);
    assert.equal((await runPostern(world.home, ['healthcheck', '--alive', '--metrics', address])).code, 0);
    const gone = await runPostern(world.home, ['healthcheck', '--metrics', edgeAddress]);
    assert.equal(gone.code, 1);
    assert.match(gone.stderr, /cannot be asked: .*ECONNREFUSED/);
  });

  it('end with a message without an address, and when the answer does not come', async t => {
    const home = await temporaryDirectory(t);
    const none = await runPostern(home, ['tunnel', 'ready']);
    assert.equal(none.code, 64);
    assert.match(none.stderr, /^--metrics has to be provided/);
    const silent = await listen(
      t,
      createServer(() => undefined),
    );
    const late = await runPostern(home, ['healthcheck', '--metrics', `127.0.0.1:${silent}`, '--timeout', '100ms']);
    assert.equal(late.code, 1);
    assert.match(late.stderr, /no answer within 0\.1 s/);
  });

  it('find a wildcard address on loopback', async t => {
    const home = await temporaryDirectory(t);
    const port = await listen(
      t,
      createServer((_request, response) => void response.end('OK\n')),
    );
    for (const host of ['0.0.0.0', '127.0.0.1', 'localhost'])
      assert.equal((await runPostern(home, ['tunnel', '--metrics', `${host}:${port}`, 'ready'])).code, 0, host);
  });
});
