// Real programs on two hosts (network namespaces) with a firewall between them: UDP blocked by packet filters, unblocked,
// blocked later, refused on the connector's own machine, and a wire whose MTU shrinks under a running connection.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import { haveCommand } from '../support/debian-package.ts';
import { createNamespaces, type Namespaces } from '../support/namespaces.ts';
import { type Program, startProgram, temporaryDirectory } from '../support/program.ts';
import { countOf, registrations } from '../support/tunnel-world.ts';
import { until, within } from '../support/wait.ts';

const edgeHost = '10.77.1.2';
const bodyBytes = 3_000_000;

/** Two hosts and a way to filter between them; skips the test with the reason where that cannot be had. */
function openHosts(t: TestContext): Namespaces | undefined {
  const made = createNamespaces();
  if ('lacking' in made) {
    t.skip(`not run here, lacking ${made.lacking}`);
    return undefined;
  }
  t.after(() => made.remove());
  if (
    haveCommand('nft', ['nftables']) &&
    spawnSync('ip', ['netns', 'exec', made.host, 'nft', 'list', 'ruleset']).status === 0
  )
    return made;
  t.skip('not run here, lacking nftables (the package, or the kernel part)');
  return undefined;
}

/** Drops all UDP at `hook` of a host: on its way in silently, on its way out with EPERM for the sender. */
function blockUdp(hosts: Namespaces, namespace: string, hook: 'input' | 'output'): void {
  hosts.run(namespace, 'nft', 'add', 'table', 'inet', 'postern');
  hosts.run(namespace, 'nft', `add chain inet postern ${hook} { type filter hook ${hook} priority 0; policy accept; }`);
  hosts.run(namespace, 'nft', `add rule inet postern ${hook} meta l4proto udp counter drop`);
}

function unblock(hosts: Namespaces, namespace: string): void {
  hosts.run(namespace, 'nft', 'flush', 'ruleset');
}

interface World {
  readonly edge: Program;
  connect(protocol: string): Program;
  /** Bytes of the origin's answer as a visitor on the edge's host gets them. */
  visit(): number;
}

async function openWorld(t: TestContext, hosts: Namespaces): Promise<World> {
  const home = await temporaryDirectory(t);
  const origin = spawn(
    'ip',
    [
      ...['netns', 'exec', hosts.connector, process.execPath, '-e'],
      `require('node:http').createServer((_, r) => r.end(Buffer.alloc(${bodyBytes}))).listen(8000, '127.0.0.1', () => console.log('up'))`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  t.after(() => origin.kill('SIGKILL'));
  await once(origin.stdout, 'data');
  const inside = (namespace: string) => ({ home, prefix: ['ip', 'netns', 'exec', namespace] });
  const at = inside(hosts.host);
  const edge = startProgram(
    t,
    [
      ...['edge', 'run', '--connector-host', edgeHost, '--name', edgeHost, '--connector-port', '7844'],
      ...['--http-port', '8080', '--https-port', '-1', '--api', '127.0.0.1:7845', '--grace-period', '2s'],
    ],
    at,
  );
  await edge.logged(/Edge ready/);
  for (const args of [
    ['tunnel', 'create', '--credentials-file', 'tunnel.json', 'app'],
    ['tunnel', 'route', 'dns', 'app', 'app.localhost'],
  ]) {
    const command = startProgram(t, args, at);
    assert.equal(await within(args.join(' '), command.exited), 0, command.log());
  }
  return {
    edge,
    connect: protocol =>
      startProgram(
        t,
        [
          ...['tunnel', '--url', 'http://127.0.0.1:8000', '--protocol', protocol, '--ha-connections', '1'],
          ...['--loglevel', 'debug', '--metrics', '127.0.0.1:0', '--grace-period', '2s'],
          ...['run', '--credentials-file', 'tunnel.json', 'app'],
        ],
        inside(hosts.connector),
      ),
    visit: () => Number(hosts.run(hosts.host, process.execPath, '-e', visitScript).trim()),
  };
}

/** Counts the bytes of an answer; fetch would set another Host. */
const visitScript = `
  const options = { host: '127.0.0.1', port: 8080, headers: { Host: 'app.localhost' } };
  require('node:http').get(options, response => {
    let bytes = 0;
    response.on('data', chunk => { bytes += chunk.length; });
    response.on('end', () => console.log(bytes)).on('error', () => console.log(-1));
  });
`;

describe('between two hosts', () => {
  it('finds the protocol that the firewall lets through, again and again, and a smaller MTU', async t => {
    const hosts = openHosts(t);
    if (hosts === undefined) return;
    const world = await openWorld(t, hosts);
    blockUdp(hosts, hosts.host, 'input');
    const connector = world.connect('auto');
    await connector.logged(/Registered tunnel connection .*protocol=http2/);
    assert.equal(world.visit(), bodyBytes);

    unblock(hosts, hosts.host);
    // The laptop comes to another network: QUIC is tried at once.
    hosts.run(hosts.connector, 'ip', 'address', 'add', '10.77.1.9/24', 'dev', 'wire');
    await until('the move to QUIC', () => registrations(connector).length === 2, 60_000);
    assert.deepEqual(registrations(connector), ['http2', 'quic']);
    assert.equal(world.visit(), bodyBytes);

    for (const namespace of [hosts.connector, hosts.host])
      hosts.run(namespace, 'ip', 'link', 'set', 'wire', 'mtu', '1280');
    assert.equal(world.visit(), bodyBytes);
    assert.equal(countOf(connector, /Lost connection/g), 0);

    blockUdp(hosts, hosts.host, 'input');
    await until('HTTP/2', () => registrations(connector).length === 3, 60_000);
    assert.deepEqual(registrations(connector), ['http2', 'quic', 'http2']);
    assert.equal(world.visit(), bodyBytes);
  });

  it('is on HTTP/2 soon where the own machine forbids UDP, and says so when QUIC was asked for', async t => {
    const hosts = openHosts(t);
    if (hosts === undefined) return;
    const world = await openWorld(t, hosts);
    blockUdp(hosts, hosts.connector, 'output');
    const quic = world.connect('quic');
    const auto = world.connect('auto');
    await auto.logged(/Registered tunnel connection .*protocol=http2/);
    await quic.logged(/Unable to establish connection with the edge .*refused to send/);
    assert.equal(world.visit(), bodyBytes);
    assert.deepEqual(registrations(quic), []);
  });

  for (const protocol of ['quic', 'http2']) {
    it(`serves on from another address of its machine, over ${protocol}`, async t => {
      const hosts = openHosts(t);
      if (hosts === undefined) return;
      const world = await openWorld(t, hosts);
      const connector = world.connect(protocol);
      await connector.logged(/Registered tunnel connection/);
      hosts.run(hosts.connector, 'ip', 'address', 'delete', '10.77.1.1/24', 'dev', 'wire');
      hosts.run(hosts.connector, 'ip', 'address', 'add', '10.77.1.9/24', 'dev', 'wire');
      await connector.logged(/The machine woke up or its network changed, checking connections change=addresses/);
      // QUIC goes on from the new address; a TCP connection is bound to the old one, and replaced.
      if (protocol === 'http2') {
        await connector.logged(/This machine no longer has the address 10\.77\.1\.1/);
        await until('another registration', () => countOf(connector, /Registered tunnel connection/g) === 2);
      }
      assert.equal(world.visit(), bodyBytes);
      assert.equal(countOf(connector, /Registered tunnel connection/g), protocol === 'http2' ? 2 : 1);
    });
  }
});
