// ping and traceroute through a real control plane and the real echo proxy of a connector, whose network is of memory.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Answer } from 'dns-packet';
import { EchoProxy } from '../internal/icmp/echo-proxy.ts';
import type { Resolver } from '../internal/private-network/dns/upstream.ts';
import { silentLogger } from '../internal/telemetry/logger.ts';
import { openTestDns } from '../test/support/dns-server.ts';
import { MemoryPlatform } from '../test/support/echo-network.ts';
import { PrivateWorld, type TestConnector } from '../test/support/private-world.ts';
import { runPostern } from '../test/support/run-cli.ts';

describe('ping and traceroute', () => {
  let world: PrivateWorld;
  let network: MemoryPlatform;
  let proxy: EchoProxy;
  let connector: TestConnector;
  let home: string;
  let resolver: Resolver | undefined;
  beforeEach(async () => {
    resolver = undefined;
    world = await PrivateWorld.open({ resolverOf: () => resolver });
    network = new MemoryPlatform();
    proxy = world.use(
      new EchoProxy({
        platforms: { 4: network, 6: network },
        sources: { 4: Uint8Array.of(192, 168, 7, 1), 6: new Uint8Array(16) },
        allowDestination: () => true,
        log: silentLogger(),
      }),
    );
    const tunnel = await world.addTunnel('home');
    await world.addRoute('10.1.0.0/16', tunnel);
    await world.addRoute('fd00::/8', tunnel);
    connector = await world.connect(tunnel, { packets: proxy });
    home = await world.serveApi();
  });
  afterEach(() => world.close());
  const postern = (...argv: string[]) => runPostern(home, argv);

  it('ping prints each reply and the statistics', async () => {
    const { code, stdout, stderr } = await postern('ping', '-c', '3', '-i', '0.1', '-s', '100', '10.1.0.2');
    assert.deepEqual([code, stderr], [0, '']);
    const lines = stdout.split('\n');
    assert.equal(lines[0], 'PING 10.1.0.2: 100 data bytes');
    for (const sequence of [1, 2, 3])
      assert.match(
        lines[sequence] ?? '',
        new RegExp(`^108 bytes from 10\\.1\\.0\\.2: icmp_seq=${sequence} ttl=255 time=[\\d.]+ ms$`),
      );
    assert.equal(lines[5], '--- 10.1.0.2 ping statistics ---');
    assert.match(lines[6] ?? '', /^3 packets transmitted, 3 received, 0% packet loss, time \d+ms$/);
    assert.match(lines[7] ?? '', /^rtt min\/avg\/max\/mdev = [\d.]+\/[\d.]+\/[\d.]+\/[\d.]+ ms$/);
    // One series is one flow, here and at the connector.
    assert.deepEqual([world.tracker.size, proxy.activeFlows, network.requests.length], [1, 1, 3]);
    const [flow] = world.tracker.active();
    assert.deepEqual([flow?.onRamp, flow?.protocol, flow?.bytes], ['echo', 'icmp', { up: 300, down: 300 }]);
  });

  it('ping reaches IPv6 and tells as JSON', async () => {
    const { code, stdout } = await postern('ping', '-c', '1', '--output', 'json', 'FD00:0::2');
    const told = JSON.parse(stdout) as { received: number; loss: number; answers: { kind: string; from: string }[] };
    assert.deepEqual([code, told.received, told.loss, told.answers[0]?.from], [0, 1, 0, 'fd00::2']);
  });

  it('ping exits with 1 when nothing comes back', async () => {
    network.silent = true;
    const silent = await postern('ping', '-c', '2', '-i', '0.1', '-W', '0.05', '10.1.0.2');
    assert.equal(silent.code, 1);
    // Both wait at once, so on a busy machine either may be told first.
    for (const sequence of [1, 2]) assert.match(silent.stdout, new RegExp(`^no answer for icmp_seq=${sequence}$`, 'm'));
    assert.match(silent.stdout, /2 packets transmitted, 0 received, 100% packet loss/);
    const near = await postern('ping', '-c', '1', '-t', '1', '-W', '10', '10.1.0.2');
    assert.match(near.stdout, /From 192\.168\.7\.1 icmp_seq=1 Time to live exceeded\n/);
    assert.match(near.stdout, /0 received, \+1 errors, 100% packet loss/);
    connector.lose(0);
    const alone = await postern('ping', '-c', '1', '10.1.0.2');
    assert.equal(alone.code, 1);
    assert.match(alone.stdout, /no connector carries packets/);
  });

  it('refuses addresses without route and what is no address', async () => {
    const [outside, odd, named, wrong] = [
      await postern('ping', '-c', '1', '10.2.0.1'),
      await postern('ping', '10.1'),
      await postern('ping', '-c', '1', 'db.internal'),
      await postern('ping', '-c', '1', '-s', '1233', '10.1.0.2'),
    ];
    assert.equal(outside.code, 1);
    assert.match(outside.stdout, /No route of the virtual network default leads to 10\.2\.0\.1: icmp_seq=1$/m);
    assert.match(outside.stdout, /1 packets transmitted, 0 received, \+1 errors, 100% packet loss/);
    assert.equal(odd.code, 64);
    assert.match(odd.stderr, /"10\.1" is neither an IP address nor a host name/);
    assert.equal(named.code, 1);
    assert.match(named.stderr, /No hostname route .* leads to db\.internal, and the network has no resolver/);
    assert.equal(wrong.code, 64);
    await world.addNetwork('office');
    const elsewhere = await postern('ping', '-c', '1', '--vnet', 'office', '10.1.0.2');
    assert.match(elsewhere.stdout, /No route of the virtual network office/);
    const traced = await postern('traceroute', '--vnet', 'office', '10.1.0.2');
    assert.equal(traced.code, 1);
    assert.match(traced.stdout, /^ 1 {2}!N {2}!N {2}!N\nStopped at the edge: [^\n]+\n$/m);
    assert.equal(network.requests.length, 0);
  });

  it('traceroute shows the connector and the destination', async () => {
    const { code, stdout } = await postern('traceroute', '-q', '2', '10.1.0.2');
    assert.equal(code, 0);
    const lines = stdout.split('\n');
    assert.equal(lines[0], 'traceroute to 10.1.0.2, 30 hops max, 56 data bytes');
    assert.match(lines[1] ?? '', /^ 1 {2}192\.168\.7\.1 {2}[\d.]+ ms {2}[\d.]+ ms$/);
    assert.match(lines[2] ?? '', /^ 2 {2}10\.1\.0\.2 {2}[\d.]+ ms {2}[\d.]+ ms$/);
    assert.equal(lines.length, 4);
  });

  it('take names that the network’s resolver knows', async t => {
    const record = (name: string, data: string) => [`A ${name}`, [{ type: 'A', name, ttl: 60, data }]] as const;
    const dns = await openTestDns({
      records: new Map(
        [record('db.internal', '10.1.0.2'), record('far.example', '10.9.0.9')].map(([key, all]) => [
          key,
          [...all] as Answer[],
        ]),
      ),
    });
    t.after(() => dns.close());
    const { tunnelId } = connector;
    await world.addRoute('127.0.0.0/8', tunnelId);
    resolver = { host: { kind: 'address', address: Uint8Array.of(127, 0, 0, 1) }, port: dns.port };
    const ping = await postern('ping', '-c', '2', '-i', '0.1', 'DB.internal');
    assert.deepEqual([ping.code, ping.stderr], [0, '']);
    assert.match(
      ping.stdout,
      /^PING db\.internal \(10\.1\.0\.2\): 56 data bytes\n64 bytes from 10\.1\.0\.2: icmp_seq=1 /,
    );
    assert.match(ping.stdout, /--- db\.internal ping statistics ---\n2 packets transmitted, 2 received/);
    const trace = await postern('traceroute', '-q', '1', 'db.internal');
    assert.match(
      trace.stdout,
      /^traceroute to db\.internal \(10\.1\.0\.2\), 30 hops max.*\n 1 {2}192.*\n 2 {2}10\.1\.0\.2 /,
    );
    const json = await postern('ping', '-c', '1', '--output', 'json', 'db.internal');
    const { target, address } = JSON.parse(json.stdout) as { target: string; address: string };
    assert.deepEqual([target, address], ['db.internal', '10.1.0.2']);
    const none = await postern('ping', '-c', '1', 'none.internal');
    assert.equal(none.code, 1);
    assert.match(none.stderr, /knows no address of none\.internal/);
    // Without a route of its own the address needs one.
    assert.match((await postern('ping', '-c', '1', 'far.example')).stderr, /leads to 10\.9\.0\.9/);
  });

  it('traceroute gives up on silence', async () => {
    network.silent = true;
    const { code, stdout } = await postern('traceroute', '-q', '1', '-w', '0.02', '10.1.0.2');
    assert.equal(code, 1);
    assert.deepEqual(stdout.trimEnd().split('\n').slice(2), [
      ...[2, 3, 4, 5, 6].map(ttl => ` ${ttl}  *`),
      'Stopped behind the connector: the host is down, or a firewall there drops echo requests',
    ]);
  });

  it('keeps the series of each caller apart, with the same numbers at once', async () => {
    const runs = await Promise.all([1, 2, 3, 4].map(() => postern('ping', '-c', '2', '-i', '0.1', '10.1.0.2')));
    for (const { code, stdout } of runs) {
      assert.equal(code, 0);
      assert.match(stdout, /2 received, 0% packet loss/);
    }
    assert.deepEqual([proxy.activeFlows, world.network.echo.counters.unmatched], [4, 0]);
  });
});
