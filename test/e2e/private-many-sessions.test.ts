// Thousands of UDP sessions at once through a SOCKS on-ramp, with real programs: every one is echoed, the limit of an
// association refuses and counts, and afterwards nothing of them is left at the edge or the connector.

import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { encodeUdpHeader } from '../../internal/net/socks/codec.ts';
import type { Program } from '../support/program.ts';
import { runPostern } from '../support/run-cli.ts';
import { openSocksAssociation, type SocksAssociation } from '../support/socks-udp.ts';
import { TunnelWorld } from '../support/tunnel-world.ts';
import { until } from '../support/wait.ts';

/** Destinations that one association may have at once; 20 associations make 5,000 sessions and more. */
const perAssociation = 256;
const associations = 20;
const loopback = Uint8Array.of(127, 0, 0, 1);

describe('private UDP in numbers', () => {
  it('carries 5,000 sessions at once and leaves nothing behind', { skip: process.platform !== 'linux' }, async t => {
    const world = await TunnelWorld.open(t, {
      edgeFlags: ['--loglevel', 'info', '--socks', '127.0.0.1:0', '--socks-open', '--metrics', '127.0.0.1:0'],
    });
    const { code, stderr } = await runPostern(world.home, ['tunnel', 'route', 'ip', 'add', '127.0.0.0/8', 'app']);
    assert.equal(code, 0, stderr);
    // Datagrams v2 tell the connector when the edge ends a session; v3 leaves that to its idle time of two minutes.
    const connector = await world.connect({
      ...{ protocol: 'quic', connections: 2 },
      flags: ['--loglevel', 'info', '--allow-destination', '127.0.0.0/8', '--features', 'support_datagram_v2'],
    });
    const portOf = async (program: Program, pattern: RegExp): Promise<number> =>
      Number((await program.logged(pattern))[1]);
    const proxy = { host: '127.0.0.1', port: await portOf(world.edge, /Listening for SOCKS5 address=\S+?:(\d+)/) };
    const edgeMetrics = await portOf(world.edge, /Serving metrics address=\S+?:(\d+)/);
    const connectorMetrics = await portOf(connector, /Starting metrics server on \S+?:(\d+)\/metrics/);
    const before = { edge: sockets(world.edge), connector: sockets(connector) };

    const echoes = await openEchoes(t, perAssociation + 4);
    const clients = await Promise.all(
      Array.from({ length: associations }, () => openClient(t, proxy, echoes.slice(0, perAssociation))),
    );
    // One after the other, as a small machine's connector answers some 16 payloads for each session being made.
    for (const client of clients) await client.untilEchoed();
    const wanted = associations * perAssociation;
    assert.ok(wanted > 5_000);
    const flows = 'postern_flows{on_ramp="socks",protocol="udp"}';
    assert.equal(await figure(edgeMetrics, flows), wanted);
    assert.equal(await figure(edgeMetrics, 'postern_socks_associations'), associations);
    assert.equal(await figure(connectorMetrics, 'cloudflared_udp_active_sessions'), wanted);
    assert.ok(sockets(connector) >= before.connector + wanted);
    // All at once once more: none was put out by another.
    for (const client of clients) client.forget();
    for (const client of clients) await client.untilEchoed();
    assert.equal(await figure(edgeMetrics, 'postern_flows_started_total{on_ramp="socks",protocol="udp"}'), wanted);

    // An association has no room for more destinations.
    const full = 'postern_socks_datagrams_dropped_total{reason="flows_full"}';
    assert.equal(await figure(edgeMetrics, full), 0);
    for (const port of echoes.slice(perAssociation)) clients[0]?.send(port);
    await until('the drops', async () => (await figure(edgeMetrics, full)) === 4);

    for (const client of clients) client.close();
    await until('the end of all flows', async () => (await figure(edgeMetrics, flows)) === 0);
    await until('the end of all sessions', async () => {
      return (await figure(connectorMetrics, 'cloudflared_udp_active_sessions')) === 0;
    });
    assert.equal(await figure(edgeMetrics, 'postern_socks_associations'), 0);
    assert.equal(
      await figure(edgeMetrics, 'postern_flows_ended_total{on_ramp="socks",protocol="udp",reason="closed"}'),
      wanted,
    );
    await until('the sockets to be closed', () => {
      return sockets(world.edge) <= before.edge && sockets(connector) <= before.connector;
    });
  });
});

/** UDP echo servers on ports of their own. */
async function openEchoes(t: TestContext, count: number): Promise<number[]> {
  const servers: Socket[] = [];
  t.after(() => {
    for (const server of servers) server.close();
  });
  for (let index = 0; index < count; index += 1) {
    const server = createSocket('udp4');
    server.on('message', (message, from) => server.send(message, from.port, from.address));
    server.bind(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
  }
  return servers.map(server => (server.address() as AddressInfo).port);
}

/** An association that talks to every port. */
async function openClient(t: TestContext, proxy: { host: string; port: number }, ports: readonly number[]) {
  const association: SocksAssociation = await openSocksAssociation(t, proxy);
  const missing = new Set(ports);
  association.socket.on('message', message => missing.delete(message.readUInt16BE(8)));
  const send = (port: number): void =>
    association.send(Buffer.concat([encodeUdpHeader(loopback, port), Buffer.from('hello')]));
  return {
    send,
    close: association.close,
    forget: (): void => {
      for (const port of ports) missing.add(port);
    },
    /** UDP may lose some: those are sent again. */
    untilEchoed: async (): Promise<void> => {
      let round = 0;
      await until('every echo', () => {
        if (round % 100 === 0) for (const port of missing) send(port);
        round += 1;
        return missing.size === 0;
      });
    },
  };
}

/** One figure of a metrics endpoint; NaN when it is not there. */
async function figure(port: number, name: string): Promise<number> {
  const call = get({ host: '127.0.0.1', port, path: '/metrics', agent: false });
  const [response] = await once(call, 'response');
  let text = '';
  for await (const chunk of response) text += chunk;
  const line = text.split('\n').find(one => one.startsWith(`${name} `));
  return line === undefined ? Number.NaN : Number(line.slice(name.length + 1));
}

/** Sockets that a program holds. */
function sockets(program: Program): number {
  const directory = `/proc/${program.child.pid}/fd`;
  let count = 0;
  for (const fd of readdirSync(directory)) {
    try {
      if (readlinkSync(`${directory}/${fd}`).startsWith('socket:')) count += 1;
    } catch {
      // Closed since.
    }
  }
  return count;
}
