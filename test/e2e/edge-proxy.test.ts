// A connector whose only way out is a forward proxy: two hosts (network namespaces), the edge on the other one's loopback
// address, so that nothing but the proxy there reaches it.

import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import {
  type ForwardProxyWorld,
  lackingProxies,
  proxyPassword,
  proxyUser,
  startDante,
  startSquid,
  startTinyproxy,
} from '../support/forward-proxies.ts';
import { createNamespaces, type Namespaces } from '../support/namespaces.ts';
import { type Program, startProgram, temporaryDirectory } from '../support/program.ts';
import { within } from '../support/wait.ts';

const proxyHost = '10.77.1.2';
/** Only the proxy's host knows it. */
const edgeName = 'edge.test';

function openHosts(t: TestContext): Namespaces | undefined {
  const lacking = lackingProxies();
  const made = lacking.length > 0 ? { lacking: `the packages ${lacking.join(', ')}` } : createNamespaces();
  if ('lacking' in made) {
    t.skip(`not run here, lacking ${made.lacking}`);
    return undefined;
  }
  t.after(() => made.remove());
  return made;
}

interface World {
  readonly home: string;
  proxyAt(port: number): ForwardProxyWorld;
  connect(flags: readonly string[], env?: Readonly<Record<string, string>>): Program;
  /** The status of an answer through the tunnel. */
  visit(): string;
}

async function openWorld(t: TestContext, hosts: Namespaces): Promise<World> {
  // What `ip netns exec` shows as /etc/hosts there.
  const etc = join('/etc/netns', hosts.host);
  await mkdir(etc, { recursive: true });
  t.after(() => rm(etc, { recursive: true, force: true }));
  await writeFile(join(etc, 'hosts'), `127.0.0.1 localhost ${edgeName}\n`);
  const home = await temporaryDirectory(t);
  const at = (namespace: string) => ({ home, prefix: ['ip', 'netns', 'exec', namespace] });
  const edge = startProgram(
    t,
    [
      ...['edge', 'run', '--connector-host', '127.0.0.1', '--name', edgeName, '--connector-port', '7844'],
      ...['--http-port', '8080', '--https-port', '443', '--api', '127.0.0.1:7845', '--grace-period', '2s'],
    ],
    at(hosts.host),
  );
  await edge.logged(/Edge ready/);
  for (const args of [
    ['tunnel', 'create', 'app'],
    ['tunnel', 'route', 'dns', 'app', 'app.localhost'],
    ['tunnel', 'token', '--credentials-file', 'tunnel.json', 'app'],
  ]) {
    const command = startProgram(t, args, at(hosts.host));
    assert.equal(await within(args.join(' '), command.exited), 0, command.log());
  }
  return {
    home,
    proxyAt: port => ({ namespace: hosts.host, host: proxyHost, port, directory: join(home, `proxy-${port}`) }),
    connect: (flags, env = {}) =>
      startProgram(
        t,
        [
          ...['tunnel', '--hello-world', '--ha-connections', '1', '--metrics', '127.0.0.1:0'],
          ...['--grace-period', '1s', ...flags, 'run', '--credentials-file', 'tunnel.json', 'app'],
        ],
        { ...at(hosts.connector), env },
      ),
    visit: () => hosts.run(hosts.host, process.execPath, '-e', visitScript).trim(),
  };
}

/** Fetch would set another Host. */
const visitScript = `
  const options = { host: '127.0.0.1', port: 8080, headers: { Host: 'app.localhost' } };
  require('node:http').get(options, response => { console.log(response.statusCode); response.resume(); });
`;

const registered = /Registered tunnel connection .*protocol=http2/;

describe('a connector behind a forward proxy', () => {
  it('registers through squid, tinyproxy and dante', async t => {
    const hosts = openHosts(t);
    if (hosts === undefined) return;
    const world = await openWorld(t, hosts);

    await t.test('direct ways lead nowhere', async () => {
      const connector = world.connect([]);
      await connector.logged(/Unable to establish connection with the edge/);
      await connector.stop();
    });

    await t.test('squid lets CONNECT to 443 only: the visitors’ port takes the connector', async () => {
      await startSquid(t, world.proxyAt(3128));
      const connector = world.connect(['--edge-proxy', `http://${proxyHost}:3128`]);
      await connector.logged(/leads through the proxy http:\/\/10\.77\.1\.2:3128: HTTP\/2 only/);
      await connector.logged(registered);
      assert.equal(world.visit(), '200');
      assert.equal(await connector.stop(), 0);
    });

    await t.test('tinyproxy wants a password, dies and comes back', async () => {
      const at = world.proxyAt(8888);
      const tinyproxy = await startTinyproxy(t, at);
      const wrong = world.connect(['--edge-proxy', `http://${proxyUser}@${proxyHost}:8888`]);
      await wrong.logged(/does not lead to edge\.test:7844: the proxy answered 40[17]/);
      await wrong.stop();

      const authFile = join(world.home, 'proxy-auth');
      await writeFile(authFile, `${proxyUser}:${proxyPassword}\n`, { mode: 0o600 });
      const flags = ['--edge-proxy', `http://${proxyHost}:8888`, '--edge-proxy-auth-file', authFile];
      const connector = world.connect([...flags, '--loglevel', 'debug']);
      await connector.logged(registered);
      assert.equal(world.visit(), '200');
      await tinyproxy.kill();
      await connector.logged(/Lost connection with the edge/);
      await connector.logged(/Cannot connect to the proxy http:\/\/10\.77\.1\.2:8888 \(ECONNREFUSED\)/);
      const before = connector.log().length;
      await startTinyproxy(t, at);
      await within(
        'another registration',
        (async () => {
          while (!registered.test(connector.log().slice(before))) await new Promise(resolve => setTimeout(resolve, 50));
        })(),
      );
      assert.equal(world.visit(), '200');
      assert.equal(await connector.stop(), 0);
      const shown = `http://${proxyUser}:${proxyPassword}@${proxyHost}:8888`;
      const fromVariable = world.connect([], { POSTERN_EDGE_PROXY: shown });
      await fromVariable.logged(registered);
      await fromVariable.stop();
      const typed = world.connect(['--edge-proxy', shown]);
      assert.equal(await within('a password on the command line to be refused', typed.exited), 64);
      for (const { log } of [wrong, connector, fromVariable, typed])
        assert.ok(!log().includes(proxyPassword), 'the password is in the log');
    });

    await t.test('dante is named by the environment, and QUIC is refused', async () => {
      await startDante(t, world.proxyAt(1080));
      const env = { HTTPS_PROXY: `socks5://${proxyHost}:1080` };
      const connector = world.connect(['--edge-proxy', 'env'], env);
      await connector.logged(registered);
      assert.equal(world.visit(), '200');
      assert.equal(await connector.stop(), 0);
      const quic = world.connect(['--edge-proxy', `socks5://${proxyHost}:1080`, '--protocol', 'quic']);
      assert.equal(await within('QUIC to be refused', quic.exited), 64);
      assert.match(quic.log(), /--protocol quic needs UDP, which the proxy socks5:\/\/10\.77\.1\.2:1080/);
    });
  });
});
