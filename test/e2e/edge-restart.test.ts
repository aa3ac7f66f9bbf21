// The edge as a real program that is stopped, killed and started again, with a real connector and visitors who try again.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createApiClient } from '../../internal/api/client.ts';
import { parseOriginCert } from '../../internal/credentials/origin-cert.ts';
import { listen } from '../support/origin-server.ts';
import { runPostern } from '../support/run-cli.ts';
import { TunnelWorld } from '../support/tunnel-world.ts';
import { until, within } from '../support/wait.ts';

describe('an edge that is restarted', { timeout: 240_000 }, () => {
  it('killed at any moment, knows tunnels and routes again, and its connector comes back', async t => {
    const world = await TunnelWorld.open(t);
    const connector = await world.connect({ protocol: 'http2', connections: 2 });
    await world.untilServed();
    for (let round = 0; round < 2; round += 1) {
      assert.equal(await world.stopEdge('SIGKILL'), 'SIGKILL');
      await assert.rejects(world.get());
      await world.startEdge();
      await world.untilServed();
    }
    const { stdout } = await runPostern(world.home, ['tunnel', 'list', '--output', 'json']);
    assert.deepEqual(
      (JSON.parse(stdout) as { name: string }[]).map(tunnel => tunnel.name),
      ['app'],
    );
    assert.equal(connector.child.exitCode, null);
  });

  it('fails no request of a visitor who tries again while nobody listens', async t => {
    const world = await TunnelWorld.open(t);
    await world.connect({ protocol: 'http2', connections: 4 });
    await world.untilServed();
    const statuses = new Map<number, number>();
    let asking = true;
    const visitor = async (): Promise<void> => {
      while (asking) {
        // Tries again only what was never answered, as any client or balancer may.
        const answer = await world.get().catch(() => undefined);
        if (answer === undefined) await new Promise(resolve => setTimeout(resolve, 20));
        else statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
      }
    };
    const visitors = Promise.all([visitor(), visitor(), visitor()]);
    const served = (): number => statuses.get(200) ?? 0;
    for (let round = 0; round < 2; round += 1) {
      const before = served();
      await until('requests', () => served() > before + 30);
      assert.equal(await world.stopEdge('SIGTERM'), 0);
      await world.startEdge();
      const after = served();
      await until('requests again', () => served() > after + 30);
    }
    asking = false;
    await visitors;
    assert.deepEqual([...statuses.keys()], [200]);
  });

  it('finishes a slow response after SIGTERM, and stops when it is done', async t => {
    const gate = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const world = await TunnelWorld.open(t, {
      origin: async (_message, response) => {
        response.write('begun ');
        asked.resolve();
        await gate.promise;
        response.end('finished');
      },
      edgeFlags: ['--grace-period', '30s'],
    });
    await world.connect({ protocol: 'http2' });
    const answer = world.get();
    await within('the request at the origin', asked.promise);
    world.edge.child.kill('SIGTERM');
    await world.edge.logged(/Initiating graceful shutdown/);
    await until('nobody listening', async () =>
      world.get().then(
        () => false,
        () => true,
      ),
    );
    assert.equal(world.edge.child.exitCode, null);
    gate.resolve();
    assert.equal((await answer).text, 'begun finished');
    assert.equal(await within('the exit', world.edge.exited, 10_000), 0);
  });

  it('cuts what does not end within the grace period', async t => {
    const asked = Promise.withResolvers<void>();
    const world = await TunnelWorld.open(t, {
      origin: (_message, response) => {
        response.write('begun ');
        asked.resolve();
      },
      edgeFlags: ['--grace-period', '1s'],
    });
    await world.connect({ protocol: 'http2' });
    const answer = world.get();
    await within('the request at the origin', asked.promise);
    world.edge.child.kill('SIGTERM');
    await assert.rejects(answer);
    assert.equal(await within('the exit', world.edge.exited), 0);
  });
});

describe('a configuration put through the API', { timeout: 120_000 }, () => {
  it('reaches the live connector, and a bad one leaves the good one in use', async t => {
    const world = await TunnelWorld.open(t);
    const other = await listen(
      t,
      createServer((_message, response) => response.end('the other origin')),
    );
    const connector = await world.connect({ protocol: 'http2' });
    await world.untilServed();
    const stateDir = join(world.home, '.postern', 'edge');
    const cert = parseOriginCert(await readFile(join(stateDir, 'cert.pem'), 'utf8'));
    assert.ok(cert.apiUrl !== undefined);
    const api = createApiClient({ apiUrl: cert.apiUrl, apiToken: cert.apiToken, userAgent: 'test' });
    const account = cert.accountId;
    const [tunnel] = await api.listTunnels({ params: { account } });
    const id = tunnel?.id ?? assert.fail('no tunnel');
    const put = (service: string, rule: Record<string, string> = {}) =>
      api.putConfiguration({ params: { account, id }, body: { config: { ingress: [{ ...rule, service }] } } });
    await put(`http://127.0.0.1:${other}`);
    await world.edge.logged(/Configuration pushed/);
    assert.equal((await world.get()).text, 'the other origin');
    // The last rule must match everything.
    await assert.rejects(put('http_status:500', { hostname: 'elsewhere.example' }), { code: 'api.invalid' });
    // What only the connector can know to be wrong: its own metrics address.
    const [, metrics] = await connector.logged(/Starting metrics server on (\S+)\/metrics/);
    await put(`http://${metrics}`);
    await world.edge.logged(/The connector refused the configuration/);
    assert.equal((await world.get()).text, 'the other origin');
    // A connector that comes later gets the last good word when it registers.
    await put('http_status:418');
    connector.child.kill('SIGTERM');
    await within('the exit of the connector', connector.exited);
    const later = await world.connect({ protocol: 'http2' });
    await later.logged(/Updated to new configuration/);
    assert.equal((await world.get()).status, 418);
  });
});
