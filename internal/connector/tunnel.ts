// One running tunnel: finds the edge, registers, proxies, takes configurations, and answers health questions. Everything a
// command, a daemon or an embedding program needs, composed. Source: spec edge-protocol §1; issue of the connector.

import { randomUUID } from 'node:crypto';
import { getCACertificates } from 'node:tls';
import type { EdgeIpVersion } from '../discovery/address-pool.ts';
import { discoverEdge } from '../discovery/discover.ts';
import { createDns, type Dns } from '../discovery/dns.ts';
import { cloudflareDnsOverTls, createDnsOverTls } from '../discovery/dns-over-tls.ts';
import type { EdgeRegions } from '../discovery/edge-address.ts';
import { EdgeDirectory } from '../discovery/edge-directory.ts';
import { resolveStaticEdge } from '../discovery/static-edge.ts';
import { cloudflareRootUrls, openTrustRoots } from '../discovery/trust-roots.ts';
import { PosternError } from '../errors/error.ts';
import { createMatcher } from '../ingress/match.ts';
import { type HealthServer, openHealthServer } from '../management/health-server.ts';
import { ConnectorMetrics } from '../management/metric-values.ts';
import { OriginProxy } from '../proxy/proxy.ts';
import { type ConnectorHandler, serveConnector } from '../rpc/connector-service.ts';
import { RegistrationClient } from '../rpc/registration-client.ts';
import { encodeFullIngressJson, encodeLocalConfiguration } from '../schema/encode-ingress.ts';
import type { IngressConfig } from '../schema/ingress-rule.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { ConnectorConnection, DialOptions, Protocol } from '../transport/transport.ts';
import { advertisedFeatures, chooseDatagramVersion } from '../wire/features.ts';
import { type Clock, systemClock } from './clock.ts';
import { serveConfiguration } from './configuration-stream.ts';
import { Connector } from './connector.ts';
import type { EdgeTrust } from './loop-context.ts';
import { machineAddresses } from './machine-watch.ts';
import { Orchestrator, type UpdateResult } from './orchestrator.ts';
import { findOwnEndpoint, resolveHost } from './own-endpoints.ts';
import type { ProtocolPolicy } from './protocol-policy.ts';
import { platformName } from './registration.ts';

/** Where the edge is and how it is trusted. */
export interface EdgeSettings {
  /** `host:port` entries; empty = Cloudflare's network, by DNS. */
  readonly addresses: readonly string[];
  /** `us`, `fed`, … for discovery. */
  readonly region: string | undefined;
  readonly ipVersion: EdgeIpVersion;
  /** Source address of connections to the edge; fixes the address family. */
  readonly bindAddress: string | undefined;
  /** PEM certificates that alone are trusted; undefined = the pin, else the system's (and Cloudflare's when discovered). */
  readonly ca: readonly string[] | undefined;
  /** See DialOptions; ignored when `ca` is given. */
  readonly caPin: string | undefined;
  /** Where Cloudflare's roots are kept. */
  readonly rootsFile: string;
  /** Resolver for discovery and names of edges; undefined = the machine's. */
  readonly dns?: Dns | undefined;
}

export interface TunnelOptions {
  readonly accountTag: string;
  /** UUID text. */
  readonly tunnelId: string;
  /** Raw; never logged. */
  readonly tunnelSecret: Uint8Array;
  readonly edge: EdgeSettings;
  readonly ingress: IngressConfig;
  /** Flags shown to the edge with the local configuration; without secrets. */
  readonly shownFlags: Readonly<Record<string, string>>;
  readonly policy: ProtocolPolicy;
  readonly haConnections: number;
  readonly retries: number;
  readonly gracePeriodMs: number;
  /** Deadline of each registration call. */
  readonly rpcTimeoutMs: number;
  readonly postQuantum: boolean;
  readonly features: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
  readonly maxActiveFlows: number | undefined;
  /** Where health and metrics are served; 'default' tries the usual ports on localhost, undefined = nowhere. */
  readonly metrics: { readonly host: string; readonly port: number } | 'default' | undefined;
  /** Host name of a quick tunnel, '' for others. */
  readonly quickTunnelHost: string;
  /** Version text of this program. */
  readonly version: string;
  readonly dial: (protocol: Protocol, options: DialOptions) => Promise<ConnectorConnection>;
  readonly logger: Logger;
  readonly clock?: Clock | undefined;
  readonly random?: (() => number) | undefined;
}

/** A tunnel from openTunnel; its parts are there for telemetry and health. */
export class Tunnel {
  readonly connector: Connector;
  readonly orchestrator: Orchestrator;
  readonly metrics: ConnectorMetrics;
  /** Undefined when not wanted. */
  readonly health: HealthServer | undefined;
  readonly #proxy: OriginProxy;
  readonly #directory: EdgeDirectory;

  /** Use openTunnel. */
  constructor(parts: {
    connector: Connector;
    orchestrator: Orchestrator;
    metrics: ConnectorMetrics;
    health: HealthServer | undefined;
    proxy: OriginProxy;
    directory: EdgeDirectory;
  }) {
    this.connector = parts.connector;
    this.orchestrator = parts.orchestrator;
    this.metrics = parts.metrics;
    this.health = parts.health;
    this.#proxy = parts.proxy;
    this.#directory = parts.directory;
  }

  /** Runs until `stop` or `abort`; rejects when trying again cannot help (see Connector.run). Everything is closed then. */
  async run(): Promise<void> {
    try {
      await this.connector.run();
    } finally {
      this.orchestrator.close();
      this.#directory.close();
      await Promise.all([this.#proxy.close(), this.health?.close()]);
    }
  }

  /** Ends in order within `graceMs`; default: the configured grace period. */
  stop(graceMs?: number): Promise<void> {
    this.orchestrator.close();
    return this.connector.stop(graceMs);
  }

  /** Ends now; running requests are cut. */
  abort(): void {
    this.connector.abort();
  }

  /** Takes a changed local configuration into use; the old one stays when it cannot be served. */
  reload(config: IngressConfig): Promise<UpdateResult> {
    return this.orchestrator.replaceLocal(config);
  }
}

/**
 * Opens a tunnel; nothing is dialled before `run`. Rejects with 'config.invalid' for a configuration that cannot be served
 * and 'listen.failed' when the metrics address is taken.
 */
export async function openTunnel(options: TunnelOptions): Promise<Tunnel> {
  const { logger } = options;
  const clock = options.clock ?? systemClock;
  const random = options.random ?? Math.random;
  const connectorId = randomUUID();
  const metrics = new ConnectorMetrics({ version: options.version, runtime: `node ${process.version}` });
  const machine = { addresses: machineAddresses, resolve: resolveHost };
  logger.info({ event: 0 }, `Generated Connector ID: ${connectorId}`);

  let health: HealthServer | undefined;
  const proxy = new OriginProxy({
    log: logger,
    metrics,
    connectorId,
    tags: options.tags,
    createMatcher,
    configuration: incoming => serveConfiguration(incoming, orchestrator),
  });
  const orchestrator = new Orchestrator({
    proxy,
    maxActiveFlows: options.maxActiveFlows,
    logger,
    check: async config => {
      const own = health === undefined ? [] : [{ address: health.address.host, port: health.address.port }];
      const rule = await findOwnEndpoint(config, own, machine.addresses(), machine.resolve);
      if (rule === undefined) return;
      throw new PosternError(
        'config.invalid',
        `Rule ${rule.index} of the pushed configuration names ${rule.service.text}, this connector's own metrics address`,
      );
    },
  });
  await proxy.swap(withFlowLimit(options.ingress, options.maxActiveFlows));

  const directory = openDirectory(options.edge, clock, random, logger);
  const connector = new Connector({
    identity: {
      accountTag: options.accountTag,
      tunnelId: options.tunnelId,
      tunnelSecret: options.tunnelSecret,
      connectorId,
      features: advertisedFeatures({
        requested: options.features,
        postQuantum: options.postQuantum,
        datagramVersion: chooseDatagramVersion(options.features, false),
      }),
      version: options.version,
      platform: platformName(process.platform, process.arch),
    },
    directory,
    trust: createTrust(options.edge, clock, logger),
    dial: options.dial,
    openRegistration: control => new RegistrationClient(control, { timeoutMs: options.rpcTimeoutMs }),
    handle: () => ({
      stream: incoming => proxy.stream(incoming),
      rpc: stream => void serveConnector(stream, rpcHandler(orchestrator)),
    }),
    localConfiguration: () => {
      const { config } = proxy;
      return config === undefined ? undefined : Buffer.from(encodeLocalConfiguration(config, options.shownFlags));
    },
    policy: options.policy,
    logger,
    clock,
    random,
    maxRetries: options.retries,
    gracePeriodMs: options.gracePeriodMs,
    bindAddress: options.edge.bindAddress,
    postQuantum: options.postQuantum,
    haConnections: options.haConnections,
  });
  countEvents(connector, orchestrator, metrics);
  try {
    if (options.metrics !== undefined) {
      health = await openHealthServer({
        listen: options.metrics === 'default' ? undefined : options.metrics,
        source: {
          readyConnections: () => connector.readyCount,
          connectorId,
          quickTunnelHost: () => options.quickTunnelHost,
          configuration: () =>
            JSON.stringify({
              version: orchestrator.version,
              config: proxy.config === undefined ? {} : encodeFullIngressJson(proxy.config),
            }),
          metrics: () => metrics.exposition(),
        },
      });
      const { host, port } = health.address;
      logger.info(
        { event: 0 },
        `Starting metrics server on ${host.includes(':') ? `[${host}]` : host}:${port}/metrics`,
      );
    }
  } catch (error) {
    directory.close();
    await proxy.close();
    throw error;
  }
  return new Tunnel({ connector, orchestrator, metrics, health, proxy, directory });
}

/** Calls of the edge on streams of their own (QUIC): configuration; private UDP is not offered. */
function rpcHandler(orchestrator: Orchestrator): ConnectorHandler {
  return {
    updateConfiguration: async ({ version, config }) => {
      const result = await orchestrator.update(version, Buffer.from(config).toString('utf8'));
      return { latestAppliedVersion: result.version, error: result.error?.message ?? '' };
    },
    registerUdpSession: () => Promise.resolve('this connector carries no private UDP'),
    unregisterUdpSession: () => Promise.resolve(),
  };
}

function withFlowLimit(config: IngressConfig, maxActiveFlows: number | undefined): IngressConfig {
  return maxActiveFlows === undefined ? config : { ...config, warpRouting: { ...config.warpRouting, maxActiveFlows } };
}

function openDirectory(edge: EdgeSettings, clock: Clock, random: () => number, logger: Logger): EdgeDirectory {
  const dns = edge.dns ?? createDns();
  const isStatic = edge.addresses.length > 0;
  const find = (): Promise<EdgeRegions> =>
    isStatic
      ? resolveStaticEdge(edge.addresses, dns, logger)
      : discoverEdge({ dns, fallback: createDnsOverTls(cloudflareDnsOverTls), region: edge.region, random, logger });
  return new EdgeDirectory({
    find,
    version: isStatic ? 'auto' : edge.ipVersion,
    share: isStatic,
    random,
    nowMs: () => clock.monotonicMs(),
    logger,
  });
}

/** Fetched roots are kept for the life of the tunnel; a failed fetch is tried again at the next dial. */
function createTrust(edge: EdgeSettings, clock: Clock, logger: Logger): () => Promise<EdgeTrust> {
  if (edge.ca !== undefined) return () => Promise.resolve({ ca: edge.ca, caPin: undefined });
  if (edge.caPin !== undefined) return () => Promise.resolve({ ca: undefined, caPin: edge.caPin });
  if (edge.addresses.length > 0) return () => Promise.resolve({ ca: undefined, caPin: undefined });
  let known: Promise<EdgeTrust> | undefined;
  return () => {
    known ??= openTrustRoots({
      cacheFile: edge.rootsFile,
      urls: cloudflareRootUrls,
      nowMs: () => clock.wallMs(),
      logger,
    }).then(
      roots => ({ ca: [...getCACertificates('default'), ...roots], caPin: undefined }),
      (error: unknown) => {
        known = undefined;
        throw error;
      },
    );
    return known;
  };
}

function countEvents(connector: Connector, orchestrator: Orchestrator, metrics: ConnectorMetrics): void {
  connector.on('connected', info => {
    metrics.registrations += 1;
    metrics.setLocation(info.connIndex, info.location);
  });
  connector.on('disconnected', info => metrics.setLocation(info.connIndex, undefined));
  connector.on('ready', count => {
    metrics.haConnections = count;
  });
  connector.on('registrationFailed', failure => metrics.registrationFailed(failure.reason));
  connector.on('localConfiguration', pushed => {
    metrics.configurationPushes += 1;
    if (!pushed) metrics.configurationPushErrors += 1;
  });
  orchestrator.on('applied', version => {
    metrics.configurationVersion = version;
  });
}
