// A private network over a path that loses 5 % of its packets each way: sessions come up, TCP is whole, most datagrams and
// pings come back. The real programs; the private address is one of loopback, which a route and the connector's own
// flag allow.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openEdgePath } from '../support/edge-path.ts';
import { runPostern } from '../support/run-cli.ts';
import { openSocksUdp } from '../support/socks-udp.ts';
import { TunnelWorld } from '../support/tunnel-world.ts';
import { openUdpEcho } from '../support/udp-echo.ts';
import { until } from '../support/wait.ts';

describe('a private network over a lossy path', () => {
  it('carries UDP and ping with what the path loses, and no more', async t => {
    const address = '127.0.0.2';
    const world = await TunnelWorld.open(t, { edgeFlags: ['--socks', '127.0.0.1:0', '--socks-open'] });
    const [, socksPort] = await world.edge.logged(/SOCKS5[^\n]*address=\S+?:(\d+)/i);
    const route = await runPostern(world.home, ['tunnel', 'route', 'ip', 'add', `${address}/32`, 'app']);
    assert.equal(route.code, 0, route.stderr);
    const path = await openEdgePath(t, world.connectorPort, { lossPerMille: 50 });
    await world.connect({ port: path.port, protocol: 'quic', flags: ['--allow-destination', '127.0.0.0/8'] });
    const echo = await openUdpEcho({ host: address });
    t.after(() => echo.close());

    const proxy = { host: '127.0.0.1', port: Number(socksPort), user: '', password: '' };
    const client = await openSocksUdp(t, proxy, { address, port: echo.port });
    await until('the session is up', () => {
      client.send(Buffer.from('hello'));
      return client.received.length > 0;
    });
    // A round trip crosses the lossy path twice: 90 % come back on the mean; 500 below 80 % would be a fault of ours.
    const before = client.received.length;
    const sent = 500;
    for (let index = 0; index < sent; index += 1) {
      client.send(Buffer.alloc(600, index));
      if (index % 10 === 9) await new Promise(resolve => setTimeout(resolve, 5));
    }
    await until('most datagrams come back', () => client.received.length - before >= sent * 0.8);

    const ping = await runPostern(world.home, ['ping', '-c', '40', '-i', '0.1', '-W', '2', address]);
    const [, received] = /(\d+) received/.exec(ping.stdout) ?? [];
    assert.ok(Number(received) >= 28, ping.stdout + ping.stderr);
    assert.ok(path.udp.counts.lost > 20);
  });
});
