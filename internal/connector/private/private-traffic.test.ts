// Private UDP and ICMP through a whole connector over real QUIC: what an edge registers reaches real sockets, and ends
// where it should.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { listen, listenRaw } from '../../../test/support/origin-server.ts';
import { PrivateEdge, sessionCalls, type TestFlow } from '../../../test/support/private-edge.ts';
import { recordedDatagrams } from '../../../test/support/recorded-datagrams.ts';
import { openUdpEcho, type UdpEcho } from '../../../test/support/udp-echo.ts';
import { until, within } from '../../../test/support/wait.ts';
import { PosternError } from '../../errors/error.ts';
import { connectorMetrics } from '../../management/connector-metrics.ts';
import { exposeMetrics } from '../../management/expose-metrics.ts';
import { parseIp } from '../../net/address/ip.ts';
import type { Prefix } from '../../net/address/prefix.ts';
import { encodeIcmpPacket } from '../../net/packet/packet-icmp.ts';
import { ConnectorClient } from '../../rpc/connector-client.ts';
import { parseRemoteConfig } from '../../schema/remote-config.ts';
import { createLogger, silentLogger } from '../../telemetry/logger.ts';
import { dialTransport } from '../../transport/open/dial.ts';
import { fixedProtocol } from '../protocol/protocol-policy.ts';
import { openTunnel, type Tunnel, type TunnelOptions } from '../tunnel.ts';

const loopbackPrefix: Prefix = { bytes: Uint8Array.of(127, 0, 0, 0), bits: 8 };

const loopback = Uint8Array.of(127, 0, 0, 1);
const v2 = ['support_datagram_v2'];

async function start(t: TestContext, edge: PrivateEdge, options: Partial<TunnelOptions> = {}): Promise<Tunnel> {
  const haConnections = options.haConnections ?? 1;
  const tunnel = await openTunnel({
    accountTag: 'account',
    tunnelId: '11111111-2222-4333-8444-555555555555',
    tunnelSecret: Buffer.from('secret'),
    edge: {
      addresses: [{ host: '127.0.0.1', port: edge.edge.port }],
      region: undefined,
      ipVersion: 'auto',
      bindAddress: undefined,
      caPin: undefined,
      ca: [edge.edge.ca.cert],
      rootsFile: '/nonexistent/roots.pem',
    },
    ingress: parseRemoteConfig({ ingress: [{ service: 'http_status:200' }] }),
    shownFlags: {},
    policy: fixedProtocol('quic'),
    retries: 5,
    gracePeriodMs: 10_000,
    rpcTimeoutMs: 5_000,
    postQuantum: false,
    features: [],
    tags: {},
    maxActiveFlows: undefined,
    privateNetwork: { allowedDestinations: [loopbackPrefix], resolvers: [], echo: undefined },
    metrics: { host: '127.0.0.1', port: 0 },
    quickTunnelHost: '',
    version: '0.0.0',
    dial: dialTransport,
    logger: silentLogger(),
    random: () => 0.001,
    ...options,
    haConnections,
  });
  const end = tunnel.run();
  t.after(async () => {
    tunnel.abort();
    await within('the tunnel to end', end);
  });
  await until('the registrations', () => edge.edge.registered.length === haConnections);
  return tunnel;
}

async function openEcho(t: TestContext, ...options: Parameters<typeof openUdpEcho>): Promise<UdpEcho> {
  const echo = await openUdpEcho(...options);
  t.after(() => echo.close());
  return echo;
}

/** Sends until an echo of the same bytes is back: datagrams may be lost. */
async function exchange({ flow, received }: TestFlow, payload: Buffer): Promise<void> {
  await until(`an echo of ${payload.length} bytes`, () => {
    flow.send(payload);
    return received.some(one => one.equals(payload));
  });
}

async function metric(tunnel: Tunnel, line: RegExp): Promise<void> {
  const exposition = exposeMetrics(tunnel.metrics.build, connectorMetrics(tunnel.metrics));
  await until(`the metric ${line}`, async () => line.test((await exposition()).text));
}

async function end(flow: TestFlow): Promise<TestFlow['ends'][number]> {
  await until('the end of the flow', () => flow.ends.length > 0);
  return flow.ends[0] ?? assert.fail();
}

for (const [name, features] of [
  ['v2', v2],
  ['v3', ['support_datagram_v3_2']],
] as const) {
  describe(`private UDP over QUIC, datagram ${name}`, () => {
    it('echoes, empty payloads and those of 1,280 bytes included once the path allows them', async t => {
      const edge = await PrivateEdge.open(t);
      const echo = await openEcho(t);
      const tunnel = await start(t, edge, { features });
      assert.equal(edge.mux().version, name === 'v2' ? 2 : 3);
      const flow = edge.openFlow(loopback, echo.port);
      for (const bytes of [2, 0, 1_000]) await exchange(flow, Buffer.alloc(bytes, bytes));
      await until('path MTU discovery', () => edge.mux().payloadLimit === 1_280);
      await exchange(flow, Buffer.alloc(1_280, 7));
      assert.equal(echo.sources.size, 1);
      await metric(
        tunnel,
        name === 'v2' ? /^cloudflared_udp_active_sessions 1$/m : /^cloudflared_udp_active_flows\{conn_index="0"\} 1$/m,
      );
    });

    it('ends sessions with their connection, and idle ones by themselves', async t => {
      const edge = await PrivateEdge.open(t);
      const echo = await openEcho(t);
      const tunnel = await start(t, edge, { features });
      const flow = edge.openFlow(loopback, echo.port);
      await exchange(flow, Buffer.from('before'));
      edge.edge.connection(0).abort(new PosternError('connection.lost', 'killed by the test'));
      // The edge registers it anew once the connector is back; the flow is the same to its visitor.
      await exchange(flow, Buffer.from('after'));
      flow.flow.close();
      if (name === 'v2') await metric(tunnel, /^cloudflared_udp_active_sessions 0$/m);
      const idle = edge.openFlow(loopback, echo.port, { idleMs: 200 });
      await exchange(idle, Buffer.from('x'));
      assert.deepEqual(await end(idle), { kind: 'idle' });
    });

    it('refuses what the policy refuses, and flows above the limit', async t => {
      const edge = await PrivateEdge.open(t);
      const echo = await openEcho(t);
      const tcpPort = await listenRaw(t, socket => socket.pipe(socket));
      const tunnel = await start(t, edge, { features, maxActiveFlows: 2 });
      for (const text of ['169.254.169.254', '::1', '0.0.0.0', 'fe80::1']) {
        const refused = edge.openFlow(parseIp(text) ?? assert.fail(), echo.port);
        assert.equal((await end(refused)).kind, 'refused', text);
      }
      const flow = edge.openFlow(loopback, echo.port);
      await exchange(flow, Buffer.from('first'));
      const stream = edge.edge.connection(0).request({
        kind: 'tcp',
        method: 'GET',
        scheme: 'https',
        host: `127.0.0.1:${tcpPort}`,
        path: '/',
        headers: [],
        bodyLength: -1,
      });
      assert.equal((await stream.response).status, 200);
      // One of UDP and one of TCP: that is the limit.
      const third = await end(edge.openFlow(loopback, echo.port));
      assert.ok(third.kind === 'refused' && /too many active flows/.test(third.message), JSON.stringify(third));
      await metric(tunnel, /^flow_client_registrations_rate_limited_total\{flow_type="udp"\} 1$/m);
      stream.body.on('error', () => undefined);
      stream.reset();
      await until('room for another', async () => {
        const next = edge.openFlow(loopback, echo.port);
        await until('its fate', () => {
          next.flow.send(Buffer.from('x'));
          return next.received.length > 0 || next.ends.length > 0;
        });
        return next.received.length > 0;
      });
    });

    it('sends the virtual DNS address to the resolvers that were given', async t => {
      const edge = await PrivateEdge.open(t);
      const resolver = await openEcho(t);
      const resolvers = [{ address: loopback, port: resolver.port }];
      const privateNetwork = { allowedDestinations: [], resolvers, echo: undefined };
      const tunnel = await start(t, edge, { features, privateNetwork });
      const flow = edge.openFlow(parseIp('2606:4700:cf1:2000::1') ?? assert.fail(), 53);
      await exchange(flow, Buffer.from('a query'));
      await metric(tunnel, /^cloudflared_virtual_origins_dns_requests_total\{protocol="udp"\} 1$/m);
    });

    it('tells the edge of an origin that is not there', async t => {
      const edge = await PrivateEdge.open(t);
      const gone = await openUdpEcho();
      await gone.close();
      await start(t, edge, { features });
      const flow = edge.openFlow(loopback, gone.port);
      if (name === 'v2') {
        // v2 says so; v3 ends silently, and the edge finds out when it asks again.
        await until('the report', () => {
          flow.flow.send(Buffer.from('anybody there?'));
          return flow.ends.length > 0;
        });
        assert.match(JSON.stringify(flow.ends[0]), /"kind":"connector".*unable to dial udp to origin/);
      }
    });
  });
}

describe('private UDP over several connections', () => {
  it('moves a v3 session to another connection with its socket', async t => {
    const edge = await PrivateEdge.open(t);
    const echo = await openEcho(t);
    const tunnel = await start(t, edge, { haConnections: 2 });
    const flow = edge.openFlow(loopback, echo.port, { order: [1, 0] });
    await exchange(flow, Buffer.from('over one'));
    edge.edge.connection(1).abort(new PosternError('connection.lost', 'killed by the test'));
    await exchange(flow, Buffer.from('over the other'));
    assert.equal(echo.sources.size, 1, 'the origin sees the same port');
    await metric(tunnel, /^cloudflared_udp_migrated_flows\{conn_index="0"\} 1$/m);
  });

  it('moves a v2 session by registering it anew', async t => {
    const edge = await PrivateEdge.open(t);
    const echo = await openEcho(t);
    await start(t, edge, { haConnections: 2, features: v2 });
    const flow = edge.openFlow(loopback, echo.port, { order: [1, 0] });
    await exchange(flow, Buffer.from('over one'));
    edge.edge.connection(1).abort(new PosternError('connection.lost', 'killed by the test'));
    await exchange(flow, Buffer.from('over the other'));
    assert.equal(echo.sources.size, 2);
  });

  it('chooses the version a connection, as advertised', async t => {
    for (const [features, advertised] of [
      [v2, false],
      [['support_datagram_v3_2'], true],
      [[], true],
    ] as const) {
      const edge = await PrivateEdge.open(t);
      await start(t, edge, { features });
      assert.equal(edge.edge.attempts[0]?.features.includes('support_datagram_v3_2'), advertised);
      assert.equal(edge.mux().version, advertised ? 3 : 2);
    }
  });
});

describe('private traffic that is out of order', () => {
  it('answers session calls on a v3 connection as cloudflared does', async t => {
    const edge = await PrivateEdge.open(t);
    const tunnel = await start(t, edge);
    const calls = sessionCalls(edge.edge.connection(0));
    const id = new Uint8Array(16);
    assert.equal(
      await calls.register({ id, address: loopback, port: 53, idleHintNs: 0n }),
      'datagram v3 does not support RegisterUdpSession RPC',
    );
    await assert.rejects(calls.unregister(id, ''), /datagram v3 does not support UnregisterUdpSession RPC/);
    await metric(
      tunnel,
      /^cloudflared_udp_unsupported_remote_command_total\{conn_index="0",command="register_udp_session"\} 1$/m,
    );
  });

  it('answers impossible session ids with an exception, impossible addresses in the result, and forgives an unknown id', async t => {
    const edge = await PrivateEdge.open(t);
    await start(t, edge, { features: v2 });
    const calls = sessionCalls(edge.edge.connection(0));
    await assert.rejects(calls.register({ id: new Uint8Array(15), address: loopback, port: 53, idleHintNs: 0n }));
    const [none, odd] = [0, 5].map(length => new Uint8Array(length));
    await assert.rejects(
      calls.register({ id: new Uint8Array(16), address: none ?? loopback, port: 53, idleHintNs: 0n }),
    );
    assert.equal(
      await calls.register({ id: new Uint8Array(16), address: odd ?? loopback, port: 53, idleHintNs: 0n }),
      'unable to parse destination IP',
    );
    const client = new ConnectorClient((await edge.edge.connection(0).openRpc?.()) ?? assert.fail(), {
      timeoutMs: 5_000,
    });
    await client.unregisterUdpSession({ sessionId: new Uint8Array(16).fill(9), message: 'unknown' });
    client.close();
  });

  it('lets TCP, bastion and SOCKS reach anything but the metrics endpoint', async t => {
    const edge = await PrivateEdge.open(t);
    const origin = await listen(
      t,
      createServer((_request, response) => response.end('an origin')),
    );
    const ingress = parseRemoteConfig({ ingress: [{ service: 'bastion' }] });
    const tunnel = await start(t, edge, { ingress });
    const metrics = tunnel.health?.address.port ?? assert.fail();
    const connection = edge.edge.connection(0);
    const tcp = (host: string) => {
      const stream = connection.request({
        kind: 'tcp',
        method: 'GET',
        scheme: 'https',
        host,
        path: '/',
        headers: [],
        bodyLength: -1,
      });
      stream.body.on('error', () => undefined);
      return stream;
    };
    const bastion = (to: string) => {
      const stream = connection.request({
        kind: 'websocket',
        method: 'GET',
        scheme: 'https',
        host: 'jump.example',
        path: '/',
        bodyLength: -1,
        headers: [
          ...['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version', '13'],
          ...['Cf-Access-Jump-Destination', to],
        ],
      });
      stream.body.on('error', () => undefined);
      return stream;
    };
    const allowed = tcp(`127.0.0.1:${origin}`);
    assert.equal((await allowed.response).status, 200);
    allowed.reset();
    const jump = bastion(`127.0.0.1:${origin}`);
    assert.equal((await jump.response).status, 101);
    jump.reset();
    for (const host of ['127.0.0.1', '127.9.9.9', 'localhost', '[::ffff:127.0.0.1]']) {
      await assert.rejects(tcp(`${host}:${metrics}`).response, /not allowed here/, host);
      await assert.rejects(bastion(`${host}:${metrics}`).response, /not allowed here/, host);
    }
    await assert.rejects(tcp('169.254.169.254:80').response, /not allowed here/);
  });

  it('plays the recorded datagrams of an edge against this connector', async t => {
    const echo = await openEcho(t);
    for (const version of [2, 3] as const) {
      const edge = await PrivateEdge.open(t);
      await start(t, edge, { features: version === 2 ? v2 : [] });
      const connection = edge.edge.connection(0);
      const channel = connection.datagrams ?? assert.fail();
      const answers: Buffer[] = [];
      // In place of the muxer: bytes as they are.
      channel.receive(datagram => answers.push(Buffer.from(datagram)));
      const recorded = recordedDatagrams(`quic-datagram-v${version}.json`);
      if (version === 2) {
        const id = Buffer.from('0102030405064708890a0b0c0d0e0f10', 'hex');
        const calls = sessionCalls(connection);
        assert.equal(await calls.register({ id, address: loopback, port: echo.port, idleHintNs: 0n }), undefined);
      }
      for (const { from, bytes } of recorded) {
        const datagram = Buffer.from(bytes);
        const isRegistration = version === 3 && from === 'edge' && datagram[0] === 0;
        // The recorded origin listened on port 9002.
        if (isRegistration) datagram.writeUInt16BE(echo.port, 2);
        if (isIcmp(version, datagram)) continue;
        // Whether 2001:db8::1 is unreachable is the machine's to say; that there is an answer is not.
        if (from === 'connector' && version === 3 && datagram[1] === 2)
          await until('an answer', () =>
            answers.some(one => one[0] === 3 && one.subarray(2).equals(datagram.subarray(2))),
          );
        else if (from === 'edge') channel.send(datagram);
        else await until(`${datagram.toString('hex')} of v${version}`, () => answers.some(one => one.equals(datagram)));
      }
    }
    assert.ok(
      echo.received.some(payload => String(payload) === 'bundled'),
      'a bundled payload is delivered',
    );
  });
});

describe('private ICMP', () => {
  const lines: string[] = [];
  const echoing = {
    privateNetwork: {
      allowedDestinations: [loopbackPrefix],
      resolvers: [],
      echo: { v4: undefined, v6: undefined },
    },
    logger: createLogger({ level: 'info', format: 'json', destination: { write: line => void lines.push(line) } }),
  };
  const disabled = (): string | false => lines.find(line => line.includes('ICMP proxy feature is disabled')) ?? false;
  const packets = (edge: PrivateEdge): Buffer[] => {
    const received: Buffer[] = [];
    edge.mux().onPacket({ packet: packet => received.push(Buffer.from(packet)) });
    return received;
  };
  const request = (source: number, data: string, destination = loopback): Uint8Array => {
    const packet = new Uint8Array(100);
    const length = encodeIcmpPacket(packet, 0, {
      source: Uint8Array.of(192, 0, 2, source),
      destination,
      ttl: 64,
      type: 8,
      code: 0,
      identifier: 0x1234,
      sequence: 1,
      data: Buffer.from(data),
    });
    return packet.subarray(0, length);
  };

  for (const version of [2, 3] as const) {
    it(`answers as recorded, each visitor with its own data though ids are the same, datagrams v${version}`, async t => {
      const edge = await PrivateEdge.open(t);
      const tunnel = await start(t, edge, { ...echoing, features: version === 2 ? v2 : [] });
      if (disabled() !== false) {
        t.skip(`the system permits no ICMP socket: ${disabled()}`);
        return;
      }
      const received = packets(edge);
      for (const { from, bytes } of recordedDatagrams(`quic-datagram-v${version}.json`))
        if (from === 'edge' && isIcmp(version, bytes))
          edge.mux().sendPacket(version === 2 ? bytes.subarray(0, -1) : bytes.subarray(1));
      // A raw socket tells the host's own TTL, which the recorded connector replaces by 255.
      const wanted = withoutTtl(recordedReply(version));
      await until('the recorded reply', () => received.some(packet => withoutTtl(packet).equals(wanted)));
      // Time exceeded comes from the address of this machine, which is not the recorded one.
      await until('time exceeded', () => received.some(packet => packet[20] === 11 && packet[21] === 0));
      received.length = 0;
      edge.mux().sendPacket(request(7, 'of the first'));
      edge.mux().sendPacket(request(8, 'of the other'));
      await until('both replies', () => received.length >= 2);
      const told = received.map(packet => [packet[19], String(packet.subarray(28))]).sort();
      assert.deepEqual(told, [
        [7, 'of the first'],
        [8, 'of the other'],
      ]);
      edge.mux().sendPacket(request(7, 'not allowed', Uint8Array.of(169, 254, 1, 1)));
      await metric(tunnel, /^cloudflared_icmp_total_requests 3$/m);
      await metric(tunnel, /^cloudflared_icmp_total_replies 3$/m);
    });
  }
});

/** An IPv4 packet with its TTL and header checksum zeroed. */
function withoutTtl(packet: Uint8Array): Buffer {
  return Buffer.from(packet).fill(0, 8, 9).fill(0, 10, 12);
}

/** The echo reply of the recording, as a packet. */
function recordedReply(version: 2 | 3): Buffer {
  const [found] = recordedDatagrams(`quic-datagram-v${version}.json`).filter(
    ({ from, bytes }) => from === 'connector' && isIcmp(version, bytes),
  );
  if (found === undefined) throw new Error('no ICMP was recorded');
  return Buffer.from(version === 2 ? found.bytes.subarray(0, -1) : found.bytes.subarray(1));
}

/** Echo requests went to the recorded machine's loopback; they are played apart. */
function isIcmp(version: 2 | 3, datagram: Uint8Array): boolean {
  return version === 2 ? datagram.at(-1) !== 0 : datagram[0] === 2;
}
