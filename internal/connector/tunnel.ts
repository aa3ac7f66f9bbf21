// One running tunnel: finds the edge, registers, proxies, takes configurations, and answers health questions. Everything a
// command, a daemon or an embedding program needs, composed. Source: docs/protocol/edge-protocol.md §1.

import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { chooseUdp } from '../datagram/socket/open-udp.ts';
import { PosternError } from '../errors/error.ts';
import { openEchoProxy } from '../icmp/open-echo.ts';
import type { EchoSourceFlags } from '../icmp/source-address.ts';
import { createMatcher } from '../ingress/match.ts';
import { connectorMetrics } from '../management/connector-metrics.ts';
import type { DiagnosticSource } from '../management/diagnostic-source.ts';
import { exposeMetrics } from '../management/expose-metrics.ts';
import { type HealthServer, openHealthServer } from '../management/health-server.ts';
import { ConnectorMetrics } from '../management/metric-values.ts';
import { formatHostPort } from '../net/address/host-port.ts';
import { plainAddress } from '../net/address/ip.ts';
import type { Prefix } from '../net/address/prefix.ts';
import type { ResolverAddress } from '../net/address/virtual-dns.ts';
import { narrowBufferWatch } from '../net/linux/receive-buffer.ts';
import { type Clock, systemClock } from '../net/time/clock.ts';
import type { OutboundProxySettings } from '../origin/dial/outbound-proxy.ts';
import type { AccessLog } from '../proxy/access-log.ts';
import { FlowLimiter } from '../proxy/flow-limiter.ts';
import { OriginProxy } from '../proxy/proxy.ts';
import { RegistrationClient } from '../rpc/registration-client.ts';
import { encodeFullIngressJson, encodeLocalConfiguration } from '../schema/encode-ingress.ts';
import type { IngressConfig } from '../schema/ingress-rule.ts';
import type { Logger } from '../telemetry/logger.ts';
import { counter, type MetricFamily } from '../telemetry/metrics.ts';
import { platformName } from '../telemetry/platform-name.ts';
import type { Tracer } from '../telemetry/tracing/tracer.ts';
import type { ConnectorConnection, DialOptions, Protocol } from '../transport/transport.ts';
import { advertisedFeatures, chooseDatagramVersion } from '../wire/features.ts';
import type { ConfigurationAnswer, PushedConfiguration } from '../wire/stream/configuration-request.ts';
import { Orchestrator, type UpdateResult } from './configuration/orchestrator.ts';
import type { RolloutWatch } from './configuration/rollout-watch.ts';
import { Connector } from './connector.ts';
import { createTrust, type EdgeSettings, openDirectory } from './edge-access.ts';
import { connectionMetrics } from './loop/connection-metrics.ts';
import type { ConnectionService } from './loop/loop-context.ts';
import { machineAddresses } from './loop/machine-watch.ts';
import { datagramMetrics } from './private/datagram-metrics.ts';
import { DestinationPolicy } from './private/destination-policy.ts';
import { findOwnEndpoint, type OwnEndpoint, resolveHost } from './private/own-endpoints.ts';
import { PrivateTraffic } from './private/private-traffic.ts';
import type { ProtocolPolicy } from './protocol/protocol-policy.ts';
import { createTrailerWatch } from './protocol/trailer-watch.ts';
import { RemoteManagement, type RemoteManagementOptions } from './remote/remote-management.ts';

/** How this connector serves private networks. */
export interface PrivateNetworkOptions {
  /** Addresses of this machine and its link that may be reached; see destination-policy.ts. */
  readonly allowedDestinations: readonly Prefix[];
  /** For the virtual DNS service; empty = the system's. */
  readonly resolvers: readonly ResolverAddress[];
  /** Source addresses of echo requests; undefined = no ICMP, as for quick tunnels. */
  readonly echo: EchoSourceFlags | undefined;
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
  /** A stream whose reader takes nothing for this long is reset; 0 or absent = never. */
  readonly writeStreamTimeoutMs?: number | undefined;
  readonly postQuantum: boolean;
  readonly features: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
  readonly maxActiveFlows: number | undefined;
  readonly privateNetwork: PrivateNetworkOptions;
  /** Forward proxies of the environment, for origins given by URL. */
  readonly outboundProxy?: OutboundProxySettings | undefined;
  /** What the edge's operator wants of this account; closed with the tunnel. Undefined = an edge of our own. */
  readonly rollout?: RolloutWatch | undefined;
  /** Where health and metrics are served; 'default' tries the usual ports on localhost, undefined = nowhere. */
  readonly metrics: { readonly host: string; readonly port: number } | 'default' | undefined;
  /** What the metrics address tells `tunnel diag`; undefined = nothing. */
  readonly diagnostics?: Pick<DiagnosticSource, 'settings' | 'checkEdge'> | undefined;
  /** Host name of a quick tunnel, '' for others. */
  readonly quickTunnelHost: string;
  /** Version text of this program. */
  readonly version: string;
  readonly dial: (protocol: Protocol, options: DialOptions) => Promise<ConnectorConnection>;
  readonly logger: Logger;
  /** What may be asked of this connector through the edge's management host; undefined = nothing. */
  readonly remote?: RemoteAccess | undefined;
  /** Told of each request; closed with the tunnel. Undefined = none. */
  readonly accessLog?: AccessLog | undefined;
  /** Traces requests; closed with the tunnel. Undefined = only what an edge asks for. */
  readonly tracer?: Tracer | undefined;
  /** For lines about connections to the edge. Default: `logger`. */
  readonly transportLogger?: Logger | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: (() => number) | undefined;
}

export type RemoteAccess = Pick<RemoteManagementOptions, 'host' | 'label' | 'diagnostics' | 'tap' | 'times'>;
/** Options that may change while the tunnel runs; as in TunnelOptions and PrivateNetworkOptions. */
export type LiveOptions = Pick<TunnelOptions, 'maxActiveFlows' | 'tags'> &
  Pick<PrivateNetworkOptions, 'allowedDestinations'>;

/** A tunnel from openTunnel; its parts are there for telemetry and health. */
export class Tunnel {
  readonly connector: Connector;
  readonly orchestrator: Orchestrator;
  readonly metrics: ConnectorMetrics;
  /** Undefined when not wanted. */
  readonly health: HealthServer | undefined;
  readonly #rollout: RolloutWatch | undefined;
  readonly #management: RemoteManagement | undefined;
  readonly #proxy: OriginProxy;
  readonly #policy: DestinationPolicy;
  #live: LiveOptions;
  readonly #resources: AsyncDisposableStack;

  /** Use openTunnel. */
  constructor(parts: {
    connector: Connector;
    orchestrator: Orchestrator;
    metrics: ConnectorMetrics;
    health: HealthServer | undefined;
    rollout: RolloutWatch | undefined;
    management: RemoteManagement | undefined;
    proxy: OriginProxy;
    policy: DestinationPolicy;
    live: LiveOptions;
    /** Everything that was opened for it; closed when its run ends. */
    resources: AsyncDisposableStack;
  }) {
    this.connector = parts.connector;
    this.orchestrator = parts.orchestrator;
    this.metrics = parts.metrics;
    this.health = parts.health;
    this.#rollout = parts.rollout;
    this.#management = parts.management;
    this.#proxy = parts.proxy;
    this.#policy = parts.policy;
    this.#live = parts.live;
    this.#resources = parts.resources;
  }

  /** Runs until `stop` or `abort`; rejects when trying again cannot help (see Connector.run). Everything is closed then. */
  async run(): Promise<void> {
    try {
      await this.#rollout?.start();
      await this.connector.run();
    } finally {
      await this.#resources.disposeAsync();
    }
  }

  /** Ends in order within `graceMs`; default: the configured grace period. */
  stop(graceMs?: number): Promise<void> {
    this.orchestrator.close();
    // Who follows the log must not keep a connector from ending.
    this.#management?.close();
    return this.connector.stop(graceMs);
  }

  /** Ends now; running requests are cut. */
  abort(): void {
    this.connector.abort();
  }

  /** Takes a changed local configuration and other options into use; the old ones stay when it cannot be served. */
  async reload(config: IngressConfig, options: LiveOptions): Promise<UpdateResult> {
    const before = this.#live;
    this.#proxy.setTags(options.tags);
    // Rules of the edge are opened anew for what they were opened with.
    const again = !isDeepStrictEqual(before.tags, options.tags);
    const result = await this.orchestrator.replaceLocal(config, options, again);
    if (result.error === undefined) {
      this.#live = options;
      this.#policy.setAllowed(options.allowedDestinations);
    } else this.#proxy.setTags(before.tags);
    return result;
  }
}

/**
 * Opens a tunnel; nothing is dialled before `run`. What was opened is closed again when a later part fails. Rejects with 'config.invalid' for a configuration that cannot be served
 * and 'listen.failed' when the metrics address is taken.
 */
export async function openTunnel(options: TunnelOptions): Promise<Tunnel> {
  await using opened = new AsyncDisposableStack();
  const { logger, rollout, transportLogger = logger } = options;
  opened.defer(() => rollout?.close());
  const clock = options.clock ?? systemClock;
  const random = options.random ?? Math.random;
  const connectorId = randomUUID();
  const metrics = new ConnectorMetrics({ version: options.version, runtime: `node ${process.version}` });
  logger.info(`Generated Connector ID: ${connectorId}`);

  let health: HealthServer | undefined;
  const own = (): readonly OwnEndpoint[] =>
    health === undefined ? [] : [{ address: health.address.host, port: health.address.port }];
  const { allowedDestinations, echo, resolvers } = options.privateNetwork;
  const policy = new DestinationPolicy({ allowed: allowedDestinations, own, machine: machineAddresses });
  const limiter = new FlowLimiter();
  let localIp: string | undefined;
  const management =
    options.remote &&
    new RemoteManagement({
      ...options.remote,
      tunnelId: options.tunnelId,
      connectorId,
      localIp: () => localIp,
      metrics: () => exposed(),
      random,
    });
  opened.defer(() => management?.close());
  opened.defer(() => options.accessLog?.[Symbol.asyncDispose]());
  opened.defer(() => options.tracer?.[Symbol.asyncDispose]());
  const proxy = new OriginProxy({
    log: logger,
    accessLog: options.accessLog,
    tracer: options.tracer,
    metrics,
    connectorId,
    tags: options.tags,
    createMatcher,
    limiter,
    management,
    outboundProxy: options.outboundProxy,
    allowPrivate: policy.allowsPrivate,
    allowNamed: policy.allowsNamed,
    resolvers,
    writeTimeoutMs: options.writeStreamTimeoutMs,
  });
  opened.defer(() => proxy.close());
  const orchestrator = new Orchestrator({
    proxy,
    maxActiveFlows: options.maxActiveFlows,
    logger,
    check: async config => {
      const rule = await findOwnEndpoint(config, own(), machineAddresses(), resolveHost);
      if (rule === undefined) return;
      throw new PosternError(
        'config.invalid',
        `Rule ${rule.index} of the pushed configuration names ${rule.service.text}, this connector's own metrics address`,
      );
    },
  });
  opened.defer(() => orchestrator.close());
  await proxy.swap(withFlowLimit(options.ingress, options.maxActiveFlows));

  const allowDestination = policy.allowsAddress;
  const openUdp = await chooseUdp();
  const echoProxy = echo && (await openEchoProxy({ flags: echo, allowDestination, log: logger }));
  const traffic = new PrivateTraffic({ openUdp, limiter, allowDestination, resolvers, echo: echoProxy, log: logger });
  opened.defer(() => traffic.close());
  metrics.families.push(...datagramMetrics(traffic, metrics), ...userHostnames(options.quickTunnelHost));
  metrics.families.push(...(options.tracer?.metrics ?? []));
  const noteBuffer = narrowBufferWatch(warning => transportLogger.warn(warning));
  const attach = (connection: ConnectorConnection, connIndex: number): ConnectionService => {
    const datagramVersion = chooseDatagramVersion(options.features, rollout?.datagramV3 ?? true);
    localIp = plainAddress(connection.localAddress);
    noteBuffer(connection.receiveBuffer);
    const { features: requested, postQuantum, remote } = options;
    const sessions = traffic.attach(connection, connIndex, datagramVersion);
    return {
      features: advertisedFeatures({ requested, postQuantum, managementLogs: remote !== undefined, datagramVersion }),
      handler: {
        stream: incoming => proxy.stream(incoming),
        configure: pushed => applyPushed(orchestrator, pushed),
        sessions,
        rpcFigures: metrics.rpcServer,
      },
    };
  };
  options.policy.keepHttp2While?.(createTrailerWatch(options.edge.caPin, () => proxy.config, logger));
  const directory = openDirectory(options.edge, clock, random, transportLogger);
  opened.defer(() => directory.close());
  const connector = new Connector({
    identity: {
      accountTag: options.accountTag,
      tunnelId: options.tunnelId,
      tunnelSecret: options.tunnelSecret,
      connectorId,
      version: options.version,
      platform: platformName(process.platform, process.arch),
    },
    directory,
    trust: createTrust(options.edge, clock, transportLogger),
    dial: options.dial,
    openRegistration: control =>
      new RegistrationClient(control, { timeoutMs: options.rpcTimeoutMs, figures: metrics.rpcClient }),
    attach,
    localConfiguration: () => {
      const { config } = proxy;
      return config === undefined ? undefined : Buffer.from(encodeLocalConfiguration(config, options.shownFlags));
    },
    policy: options.policy,
    logger: transportLogger,
    clock,
    random,
    maxRetries: options.retries,
    gracePeriodMs: options.gracePeriodMs,
    bindAddress: options.edge.bindAddress,
    proxy: options.edge.proxy,
    sharedPort: options.edge.sharedPort,
    postQuantum: options.postQuantum,
    haConnections: options.haConnections,
  });
  countEvents(connector, orchestrator, metrics);
  metrics.families.push(...connectionMetrics(() => connector.figures, metrics));
  const exposed = exposeMetrics(metrics.build, connectorMetrics(metrics));
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
        metrics: exposed,
        diagnostics: options.diagnostics && {
          ...options.diagnostics,
          version: options.version,
          tunnelId: options.tunnelId,
          connectorId,
          connections: () => connector.connections,
          icmpSources: () => echoProxy?.sources ?? [],
        },
      },
    });
    const served = health;
    opened.defer(() => served.close());
    const { host, port } = served.address;
    logger.info(`Starting metrics server on ${formatHostPort(host, port)}/metrics`);
  }
  const { maxActiveFlows, tags } = options;
  const live = { maxActiveFlows, tags, allowedDestinations };
  const resources = opened.move();
  return new Tunnel({ connector, orchestrator, metrics, health, rollout, management, proxy, policy, live, resources });
}

/** Where programs that start a quick tunnel read its URL. */
function userHostnames(quickTunnelHost: string): readonly MetricFamily[] {
  if (quickTunnelHost === '') return [];
  const name = 'cloudflared_tunnel_user_hostnames_counts';
  const read = () => [[{ userHostname: `https://${quickTunnelHost}` }, 1]] as const;
  return [counter(name, 'Which user hostnames cloudflared is serving', ['userHostname'], read)];
}

/** A configuration that the edge pushed, whichever way its transport has for that. */
async function applyPushed(orchestrator: Orchestrator, pushed: PushedConfiguration): Promise<ConfigurationAnswer> {
  const { version, error } = await orchestrator.update(pushed.version, pushed.json);
  return { version, error: error?.message };
}

function withFlowLimit(config: IngressConfig, maxActiveFlows: number | undefined): IngressConfig {
  return maxActiveFlows === undefined ? config : { ...config, warpRouting: { ...config.warpRouting, maxActiveFlows } };
}

function countEvents(connector: Connector, orchestrator: Orchestrator, metrics: ConnectorMetrics): void {
  connector.on('connected', info => {
    metrics.registrations += 1;
    if (info.protocol === 'quic') metrics.quicOpened += 1;
    metrics.setLocation(info.connIndex, info.location);
  });
  connector.on('disconnected', info => {
    metrics.setLocation(info.connIndex, undefined);
    if (info.protocol === 'quic') metrics.quicClosed += 1;
  });
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
