// Checks of the way to the edge: its name, UDP with QUIC, TCP, TLS and trust, the clock, the path's MTU. All targets and all
// probes at once, each with a deadline. Nothing registers: an edge sees handshakes that end. Source:
// docs/protocol/edge-protocol.md §13.3.

import { discoverEdge, srvName } from '../../discovery/discover.ts';
import { createDns, type Dns } from '../../discovery/dns.ts';
import { cloudflareDnsOverTls, createDnsOverTls } from '../../discovery/dns-over-tls.ts';
import { type EdgeAddress, formatEdgeAddress } from '../../discovery/edge-address.ts';
import { nameEdge } from '../../discovery/named-edge.ts';
import { resolveStaticEdge } from '../../discovery/static-edge.ts';
import { describeError, isPosternError, PosternError } from '../../errors/error.ts';
import { formatHostPort, type HostPort } from '../../net/address/host-port.ts';
import { silentLogger } from '../../telemetry/logger.ts';
import { dialTransport } from '../../transport/open/dial.ts';
import { connectTls } from '../../transport/tls.ts';
import type { ConnectorConnection, DialOptions, Protocol } from '../../transport/transport.ts';
import type { EdgeSettings } from '../edge-access.ts';
import type { EdgeTrust } from '../loop/loop-context.ts';
import { type Check, mtuComponent, tcpComponent, tlsComponent, udpComponent } from './report.ts';

export interface EdgeCheckOptions {
  readonly edge: EdgeSettings;
  readonly trust: () => Promise<EdgeTrust>;
  /** The only protocol that is tried; both by default. */
  readonly protocol?: Protocol | undefined;
  /** Of one probe. Default 5 s. */
  readonly probeTimeoutMs?: number | undefined;
}

/** The name that probes verify; edges have it beside those of the transports. */
const probeName = 'probe.cftunnel.com';
const defaultProbeTimeoutMs = 5_000;
/** How long path MTU discovery may look for larger packets: some ten round trips of 100 ms. */
const mtuWaitMs = 1_000;
/** Many entries are mostly the same few machines. */
const maxTargets = 8;
/** UDP of private networks may carry so much (docs/limits.md), with some 40 bytes of QUIC around it. */
const wantedPacketBytes = 1_320;

/** Never rejects: what fails is a check that failed. */
export async function checkEdge(options: EdgeCheckOptions): Promise<readonly Check[]> {
  const { edge } = options;
  const dns = edge.dns ?? createDns({ timeoutMs: options.probeTimeoutMs ?? defaultProbeTimeoutMs });
  const found =
    edge.proxy !== undefined
      ? nameEdge(distinct(edge.addresses), edge.region).flat().map(byProxy)
      : await Promise.all(
          edge.addresses.length > 0
            ? distinct(edge.addresses).map(target => findStatic(target, dns))
            : [findDiscovered(edge, dns)],
        );
  const names = found.map(({ check }) => check);
  const targets = found.flatMap(({ target }) => target);
  if (targets.length === 0) return names;
  let trust: EdgeTrust;
  try {
    trust = await options.trust();
  } catch (error) {
    return [...names, failed(tlsComponent, 'trust roots', error, 'name the CA of the edge with --cacert')];
  }
  const probed = await Promise.all(targets.map(target => probe(target, trust, options)));
  return [...names, ...probed.flat()];
}

interface Found {
  readonly check: Check;
  readonly target: readonly EdgeAddress[];
}

/** The same entry may stand there once for each connection. */
function distinct(targets: readonly HostPort[]): readonly HostPort[] {
  const byText = new Map(targets.map(target => [formatHostPort(target.host, target.port), target]));
  return [...byText.values()].slice(0, maxTargets);
}

function byProxy(address: EdgeAddress): Found {
  const target = formatEdgeAddress(address);
  const details = 'left to the proxy';
  return { check: { component: 'DNS Resolution', target, status: 'skip', details, isHard: false }, target: [address] };
}

async function findStatic(target: HostPort, dns: Dns): Promise<Found> {
  const entry = formatHostPort(target.host, target.port);
  try {
    const [first, second] = await resolveStaticEdge([target], dns, silentLogger());
    return { check: resolved(entry), target: [...first, ...second].slice(0, 1) };
  } catch (error) {
    return { check: unresolved(entry, error), target: [] };
  }
}

async function findDiscovered({ region }: EdgeSettings, dns: Dns): Promise<Found> {
  const target = srvName(region);
  const fallback = createDnsOverTls(cloudflareDnsOverTls);
  try {
    const regions = await discoverEdge({ dns, fallback, region, random: Math.random, logger: silentLogger() });
    return { check: resolved(target), target: regions.flatMap(addresses => addresses.slice(0, 1)) };
  } catch (error) {
    return { check: unresolved(target, error), target: [] };
  }
}

function resolved(target: string): Check {
  return { component: 'DNS Resolution', target, status: 'pass', details: 'DNS Resolved successfully', isHard: true };
}

function unresolved(target: string, error: unknown): Check {
  const remedy = "check this machine's resolver, or name the edge with --edge HOST:PORT";
  return { ...failed('DNS Resolution', target, error, remedy), isHard: true };
}

function failed(component: string, target: string, error: unknown, remedy: string): Check {
  // The causes repeat the message in the system's words.
  const details = error instanceof Error ? error.message : describeError(error);
  return { component, target, status: 'fail', details, remedy, isHard: false };
}

async function probe(address: EdgeAddress, trust: EdgeTrust, options: EdgeCheckOptions): Promise<readonly Check[]> {
  const dial: DialOptions = {
    host: address.ip,
    port: address.port,
    ca: trust.ca,
    caPin: trust.caPin,
    serverName: probeName,
    localAddress: options.edge.bindAddress,
    proxy: options.edge.proxy,
    timeoutMs: options.probeTimeoutMs ?? defaultProbeTimeoutMs,
  };
  const target = formatEdgeAddress(address);
  const { protocol } = options;
  const [udp, tcp] = await Promise.all([
    protocol === 'http2' || dial.proxy !== undefined ? [] : probeUdp(dial, target),
    protocol === 'quic' ? [] : probeTcp(dial, target),
  ]);
  return [...udp, ...tcp];
}

async function probeUdp(dial: DialOptions, target: string): Promise<readonly Check[]> {
  let connection: ConnectorConnection;
  try {
    connection = await dialTransport('quic', dial);
  } catch (error) {
    if (isPosternError(error, 'unavailable')) {
      const details = 'this build has no QUIC engine for this machine';
      return [{ component: udpComponent, target, status: 'skip', details, isHard: false }];
    }
    const remedy = isPosternError(error, 'tls.failed')
      ? 'check --cacert or fetch a new token, and that the port is that of an edge'
      : `allow outbound UDP to ${target}, or use --protocol http2`;
    return [failed(udpComponent, target, error, remedy)];
  }
  try {
    const bytes = await pathMtu(connection);
    const mtu = { component: mtuComponent, target, isHard: false } as const;
    const details = `UDP payloads of ${bytes} bytes pass`;
    const remedy = 'raise the MTU on the way (tunnels, PPPoE), or use --protocol http2 if large answers hang';
    return [
      { component: udpComponent, target, status: 'pass', details: 'QUIC connection successful', isHard: false },
      bytes >= wantedPacketBytes
        ? { ...mtu, status: 'pass', details }
        : { ...mtu, status: 'fail', details: `only ${details}`, remedy },
    ];
  } finally {
    connection.abort(new PosternError('connection.closed', 'precheck complete'));
  }
}

/** The largest UDP payload that passes, once there is enough or the time is over. */
async function pathMtu(connection: ConnectorConnection): Promise<number> {
  const deadlineMs = performance.now() + mtuWaitMs;
  for (;;) {
    const bytes = connection.stats().mtu ?? 0;
    const leftMs = deadlineMs - performance.now();
    if (bytes >= wantedPacketBytes || leftMs <= 0) return bytes;
    await new Promise(resolve => setTimeout(resolve, Math.min(20, leftMs)));
  }
}

function tcpRemedy({ proxy }: DialOptions, target: string): string {
  if (proxy === undefined) return `allow outbound TCP to ${target}`;
  return `allow CONNECT to ${target} at the proxy, and check the user and password of --edge-proxy`;
}

async function probeTcp(dial: DialOptions, target: string): Promise<readonly Check[]> {
  const clock = { component: 'Clock', target: 'this machine', isHard: false } as const;
  const connected: Check = {
    ...{ component: tcpComponent, target, status: 'pass', details: 'TCP connection successful', isHard: false },
  };
  try {
    const { socket } = await connectTls(dial);
    socket.destroy();
  } catch (error) {
    if (!isPosternError(error, 'tls.failed')) return [failed(tcpComponent, target, error, tcpRemedy(dial, target))];
    const remedy = 'check --cacert or fetch a new token, and that the port is that of an edge';
    const checks = [connected, failed(tlsComponent, target, error, remedy)];
    if (error.details?.isClock !== true) return checks;
    const details = `says ${new Date().toISOString()}, outside of the validity of the edge's certificate`;
    return [...checks, { ...clock, status: 'fail', details, remedy: 'set the clock of this machine, by NTP' }];
  }
  return [
    connected,
    {
      component: tlsComponent,
      target,
      status: 'pass',
      details: 'the certificate of the edge is trusted',
      isHard: false,
    },
    { ...clock, status: 'pass', details: "within the validity of the edge's certificate" },
  ];
}
