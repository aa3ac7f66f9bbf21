// `postern explain` against a real edge and real connectors: each hop that can fail is named, with its reason and a remedy.

import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { EdgeWorld, openWorld } from '../../test/support/edge-world.ts';
import { listen, listenRaw } from '../../test/support/origin-server.ts';
import { temporaryDirectory } from '../../test/support/program.ts';
import { runPostern } from '../../test/support/run-cli.ts';
import { until } from '../../test/support/wait.ts';

interface Shown {
  readonly code: number;
  readonly status?: number;
  readonly requestId?: string;
  readonly failed: string | null;
  readonly hops: readonly {
    readonly hop: string;
    readonly state: string;
    readonly text: string;
    readonly remedy?: string;
  }[];
}

/** As the operator of the edge; `--address` stands for DNS. */
async function explain(world: EdgeWorld, url: string, ...more: string[]): Promise<Shown> {
  const argv = ['explain', url, '--address', '127.0.0.1', '--output', 'json', ...more];
  const { code, stdout, stderr } = await runPostern(world.stateDir, argv, { POSTERN_STATE_DIR: world.stateDir });
  assert.equal(stderr, '');
  return { ...(JSON.parse(stdout) as Shown), code };
}

function of({ hops }: Shown, name: string) {
  return hops.find(({ hop }) => hop === name) ?? assert.fail(name);
}

const states = ({ hops }: Shown): string => hops.map(({ hop, state }) => `${hop} ${state}`).join(', ');

describe('postern explain', () => {
  it('follows a request that comes through, over HTTP and HTTPS', async t => {
    const origin = await listen(
      t,
      createServer((_request, response) => response.end('hello')),
    );
    const { world, tunnel } = await openWorld(t, origin);
    const generated = world.lines.map(({ message }) => /^Generated Connector ID: (.*)$/.exec(String(message))?.[1]);
    const id = generated.find(found => found !== undefined) ?? assert.fail();
    for (const base of [`http://${tunnel.host}:${world.httpPort}`, `https://${tunnel.host}:${world.httpsPort}`]) {
      const shown = await explain(world, `${base}/x`);
      assert.deepEqual([shown.code, shown.status, shown.failed], [0, 200, null], JSON.stringify(shown));
      assert.match(of(shown, 'tunnel').text, new RegExp(tunnel.id));
      assert.match(of(shown, 'connection').text, /^1 registered: 1xtst01$/);
      assert.match(of(shown, 'connector').text, new RegExp(id));
      assert.ok(
        shown.hops.every(({ state }) => state === 'ok' || state === 'passed'),
        states(shown),
      );
    }
  });

  it('says what the service answered when that is an error of its own', async t => {
    const origin = await listen(
      t,
      createServer((_request, response) => response.writeHead(503).end()),
    );
    const { world, tunnel } = await openWorld(t, origin);
    const shown = await explain(world, `http://${tunnel.host}:${world.httpPort}/`);
    assert.deepEqual([shown.code, shown.failed], [1, 'origin']);
    assert.match(of(shown, 'origin').text, /the answer is 503/);
  });

  it('names an origin that is not there, with the id that the logs have', async t => {
    const dead = await listenRaw(t, socket => socket.destroy());
    const { world, tunnel } = await openWorld(t, dead);
    const shown = await explain(world, `http://${tunnel.host}:${world.httpPort}/`);
    assert.deepEqual([shown.code, shown.status, shown.failed], [1, 502, 'origin']);
    assert.match(of(shown, 'origin').remedy ?? '', /Start the service/);
    assert.ok(world.lines.some(({ cfRay }) => cfRay === shown.requestId));
  });

  it('names a tunnel without a connector, and how to start one', async t => {
    const world = await EdgeWorld.open(t, { returnWaitMs: 100 });
    const tunnel = await world.makeTunnel();
    const shown = await explain(world, `http://${tunnel.host}:${world.httpPort}/`);
    assert.deepEqual([shown.code, shown.failed], [1, 'connection']);
    assert.equal(
      states(shown),
      'name ok, edge ok, route ok, tunnel ok, connection failed, connector unreached, rule unreached, origin unreached',
    );
    assert.match(of(shown, 'connection').remedy ?? '', new RegExp(`postern tunnel run ${tunnel.host}`));
  });

  it('names a host without a route, and one that a wildcard routes', async t => {
    const world = await EdgeWorld.open(t, { returnWaitMs: 100 });
    const shown = await explain(world, `http://nobody.example.test:${world.httpPort}/`);
    assert.deepEqual([shown.code, shown.failed], [1, 'route']);
    assert.match(of(shown, 'route').remedy ?? '', /^postern tunnel route dns TUNNEL nobody\.example\.test$/);
    await world.makeTunnel('*.wild.example.test');
    const wild = await explain(world, `http://a.wild.example.test:${world.httpPort}/`);
    assert.deepEqual(
      [wild.failed, of(wild, 'route').text],
      ['connection', 'a.wild.example.test is routed by *.wild.example.test'],
    );
  });

  it('names the edge where nobody listens, nobody is trusted, or nobody answers', async t => {
    const world = await EdgeWorld.open(t);
    const silent = await listen(t, createTcpServer());
    const closed = await explain(world, 'http://app.example.test:1/');
    assert.deepEqual([closed.code, closed.failed, closed.status], [1, 'edge', undefined]);
    assert.match(of(closed, 'edge').text, /no connection to 127\.0\.0\.1:1 \(ECONNREFUSED\)/);
    const mute = await explain(world, `http://app.example.test:${silent}/`, '--timeout', '300ms');
    assert.match(of(mute, 'edge').text, /did not answer it \(no answer within 300 ms\)/);
    // Without the edge's CA, which lies in its state directory.
    const home = await temporaryDirectory(t);
    const url = `https://app.example.test:${world.httpsPort}/`;
    const strange = await runPostern(home, ['explain', url, '--address', '127.0.0.1']);
    assert.equal(strange.code, 1);
    assert.match(strange.stdout, /FAILED {2}edge .*no TLS connection[\s\S]*what to do: trust the edge's CA/);
  });

  it('names a name that does not resolve', async t => {
    const home = await temporaryDirectory(t);
    const { code, stdout } = await runPostern(home, ['explain', 'http://nowhere.invalid/']);
    assert.equal(code, 1);
    assert.match(
      stdout,
      /^http:\/\/nowhere\.invalid\/: no answer\n\n {2}FAILED {2}name {8}nowhere\.invalid cannot be resolved/,
    );
  });

  it('needs no credential for what the answer tells', async t => {
    const world = await EdgeWorld.open(t, { returnWaitMs: 100 });
    const tunnel = await world.makeTunnel();
    const home = await temporaryDirectory(t);
    const url = `http://${tunnel.host}:${world.httpPort}/`;
    const { code, stdout } = await runPostern(home, ['explain', url, '--address', '127.0.0.1']);
    assert.equal(code, 1);
    assert.match(
      stdout,
      /FAILED {2}connection {2}The tunnel for this host name has no connector connected\.\n.*what to do: Start/,
    );
  });

  it('knows the rule, from the tunnel’s configuration or from this machine’s file', async t => {
    const world = await EdgeWorld.open(t);
    const tunnel = await world.makeTunnel();
    await world.connect(tunnel, [
      { hostname: tunnel.host, path: '^/gone', service: 'http_status:410' },
      { service: 'http_status:404' },
    ]);
    const url = `http://${tunnel.host}:${world.httpPort}/gone/x`;
    await mkdir(join(world.stateDir, '.postern'));
    await writeFile(
      join(world.stateDir, '.postern', 'config.yml'),
      `tunnel: ${tunnel.id}\ningress:\n  - {hostname: ${tunnel.host}, path: ^/gone, service: 'http_status:410'}\n  - service: http_status:404\n`,
    );
    const local = await explain(world, url);
    assert.deepEqual([local.code, local.status], [0, 410]);
    assert.equal(of(local, 'rule').text, `#0 ${tunnel.host} ^/gone leads to http_status:410`);
    const config = JSON.stringify({ ingress: [{ service: 'http_status:404' }] });
    await world.edge.store.tunnels.setConfiguration(tunnel.accountTag, tunnel.id, config, Date.now());
    assert.equal(of(await explain(world, url), 'rule').text, '#0 (all that is left) leads to http_status:404');
  });

  it('tells nothing of the routes of other accounts', async t => {
    const world = await EdgeWorld.open(t, { quickTunnels: true, returnWaitMs: 100 });
    const tunnel = await world.makeTunnel();
    const quick = await world.edge.store.accounts.byName('quick');
    assert.ok(quick !== undefined);
    const route = { hostname: 'quick.example.test', tunnelId: tunnel.id, accountTag: quick.tag, createdAtMs: 1 };
    await world.edge.store.hostnames.route(route, { overwrite: false });
    await until(
      'the route',
      async () => (await explain(world, `http://${route.hostname}:${world.httpPort}/`)).status === 502,
    );
    const shown = await explain(world, `http://${route.hostname}:${world.httpPort}/`);
    assert.match(of(shown, 'route').text, /no route of this account/);
    assert.ok(!JSON.stringify(shown).includes(tunnel.id), JSON.stringify(shown));
  });

  it('takes only URLs', async t => {
    const home = await temporaryDirectory(t);
    for (const bad of ['app.localhost', 'ftp://x/'])
      assert.equal((await runPostern(home, ['explain', bad])).code, 64, bad);
  });
});
