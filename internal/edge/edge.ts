// An edge node as one value: opens its state, its listeners and its services, ties them together, and ends them in order.
// Source: docs/protocol/edge-protocol.md §13; architecture "the way of a request".

import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { ConnectorRegistry } from '../carriers/connector-registry.ts';
import { followStore } from '../carriers/follow-store.ts';
import { LiveClients } from '../carriers/live-clients.ts';
import { Liveness } from '../carriers/liveness.ts';
import { pushConfiguration } from '../carriers/push-configuration.ts';
import { serveConnector, unregisteredLimits } from '../carriers/serve-connector.ts';
import { type Certificates, openCertificates } from '../certificates/open-certificates.ts';
import { ensureLocalAccounts } from '../control-plane/accounts.ts';
import { openApiListener } from '../control-plane/api-listener.ts';
import { apiBasePath, createControlPlane } from '../control-plane/control-plane.ts';
import { describeError, PosternError } from '../errors/error.ts';
import { type QuickTunnels, startQuickTunnels } from '../features/quick-tunnels/quick-tunnels.ts';
import { AddressLimiter, type AddressLimits } from '../net/limits/address-limiter.ts';
import { type OnRampSettings, openPrivateServices, type PrivateServices } from '../on-ramps/on-ramps.ts';
import type { TunnelId } from '../schema/api-id.ts';
import type { Store } from '../store/contract/store.ts';
import { openSecretBox } from '../store/secret-box.ts';
import { openSqliteStore } from '../store/sqlite/sqlite-store.ts';
import { openStateDirectory } from '../store/state-directory.ts';
import type { Logger } from '../telemetry/logger.ts';
import { listenTransports } from '../transport/listen.ts';
import type { EdgeConnection } from '../transport/transport.ts';
import { forward } from '../visitors/forward.ts';
import { type VisitorTimeouts, visitorTimeouts } from '../visitors/limits.ts';
import type { VisitorLimits } from '../visitors/places.ts';
import { type HostnameTable, openHostnameTable } from '../visitors/routing/hostname-table.ts';
import { openPublicServer, type PublicServer } from '../visitors/server.ts';
import { UploadWatch } from '../visitors/upload-watch.ts';
import { features } from '../wire/features.ts';
import { openMetricsListener } from './metrics-listener.ts';

export interface ListenAddress {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
}

export interface EdgeOptions {
  /** Made when missing; holds the CA, the database and the API credential. */
  readonly stateDir: string;
  /** Zone whose subdomains are given out. */
  readonly domain: string;
  readonly connectors: ListenAddress;
  /** HTTP on loopback, HTTPS elsewhere. */
  readonly api: ListenAddress;
  /** Address of the visitors' listeners. */
  readonly publicHost: string;
  /** Undefined = no such listener. */
  readonly httpPort: number | undefined;
  readonly httpsPort: number | undefined;
  /** Own names and addresses, for certificates; tokens tell connectors to dial them, and the first names the API. */
  readonly names: readonly string[];
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly caFile?: string | undefined;
  readonly quickTunnels: boolean;
  /** Name of this edge's place, in registrations and the API. */
  readonly location: string;
  readonly gracePeriodMs: number;
  /** How long a request waits for a connector that is just coming back. Default 10 s. */
  readonly returnWaitMs?: number | undefined;
  /** How long an origin may take to begin its answer; 0 = as long as the visitor waits. Default 10 min. */
  readonly answerTimeoutMs?: number | undefined;
  /** Default: `visitorTimeouts` of visitors/limits.ts. */
  readonly visitorTimeouts?: VisitorTimeouts | undefined;
  /** Connections and requests of visitors at once. Default: `visitorLimits` of visitors/places.ts. */
  readonly visitorLimits?: VisitorLimits | undefined;
  /** Connections of connectors that have not registered yet. Default: `unregisteredLimits`. */
  readonly unregistered?: AddressLimits;
  /** Default: that of carriers/serve-connector.ts. */
  readonly maxConnectionsPerTunnel?: number | undefined;
  /** Ways into private networks; none by default. */
  readonly onRamps?: OnRampSettings;
  /** Where metrics are served, without authentication; undefined = nowhere. */
  readonly metrics?: ListenAddress | undefined;
  /** Version text of this program, for the metrics. */
  readonly version?: string | undefined;
  readonly logger: Logger;
}

/** Its disposal is `stop`. */
export interface Edge extends AsyncDisposable {
  readonly connectorPort: number;
  readonly httpPort: number | undefined;
  readonly httpsPort: number | undefined;
  /** Base of the control-plane API, with /client/v4. */
  readonly apiUrl: string;
  /** Base of the quick-tunnel service. */
  readonly quickServiceUrl: string;
  readonly caPem: string;
  /** Where metrics are served. */
  readonly metrics: ListenAddress | undefined;
  readonly registry: ConnectorRegistry;
  readonly store: Store;
  readonly privateServices: PrivateServices;
  /** Reads certificate files again. */
  reload(): Promise<void>;
  /** Take no more work, finish what runs within the grace period, then close everything. Idempotent. */
  stop(): Promise<void>;
}

/**
 * After the listeners are closed, visitors' open connections may bring requests for this long. Half a second is more than a
 * long round trip.
 */
const settleMs = 500;
/** How much longer than visitors connectors of a stopping edge may take: only stragglers are left then. */
const connectorDrainMs = 5_000;

/**
 * Opens everything. What was opened is closed again when a later part fails. Throws 'file.failed', 'listen.failed',
 * 'store.failed', 'tls.failed'.
 */
export async function openEdge(options: EdgeOptions): Promise<Edge> {
  await using opened = new AsyncDisposableStack();
  const { logger, stateDir, domain } = options;
  openStateDirectory(stateDir);
  let hostnames: HostnameTable | undefined;
  const certificates = opened.use(
    await openCertificates({
      stateDir,
      names: options.names,
      visitorDomains: [domain],
      logger,
      serves: name => hostnames?.routed(name),
      ...(options.certFile === undefined ? {} : { certFile: options.certFile }),
      ...(options.keyFile === undefined ? {} : { keyFile: options.keyFile }),
      ...(options.caFile === undefined ? {} : { caFile: options.caFile }),
    }),
  );
  const store = opened.use(await openSqliteStore({ path: join(stateDir, 'edge.db') }));
  hostnames = await openHostnameTable(store, error =>
    logger.error({ error: describeError(error) }, 'Cannot read host names'),
  );
  opened.defer(() => hostnames?.close());

  const registry = new ConnectorRegistry();
  opened.use(new Liveness({ registry }));
  const live = opened.use(new LiveClients({ store, registry, logger }));
  const unregistered = new AddressLimiter(options.unregistered ?? unregisteredLimits);
  const connections = new Set<EdgeConnection>();
  opened.defer(() => abortAll(connections));
  let draining = false;
  const listener = await listenTransports({
    ...options.connectors,
    certificates: certificates.tls,
    onQuicUnavailable: error => logger.warn({ error: describeError(error) }, 'Connectors can use HTTP/2 only'),
    onConnection: connection => {
      connections.add(connection);
      void connection.closed.then(() => connections.delete(connection));
      serveConnector(connection, {
        store,
        registry,
        logger,
        location: options.location,
        isDraining: () => draining,
        drainTimeoutMs: options.gracePeriodMs,
        unregistered,
        maxConnectionsPerTunnel: options.maxConnectionsPerTunnel,
      });
    },
  });
  opened.defer(() => listener.close());
  opened.defer(certificates.onRenewed(() => listener.setCertificates(certificates.tls)));
  const visitors = await openVisitors(options, certificates, hostnames, registry);
  opened.defer(() => visitors.drain(0));

  const [name = options.connectors.host] = options.names;
  const api = await openApiListener({ ...options.api, certificates, name });
  opened.defer(() => api.close());
  const apiUrl = `${api.origin}${apiBasePath}`;
  const accounts = await ensureLocalAccounts(store, { stateDir, domain, apiUrl });
  const privateServices = opened.use(
    await openPrivateServices({
      ...{ store, registry, logger, accountTag: accounts.local.tag, onRamps: options.onRamps ?? { dns: [] } },
    }),
  );
  const metrics =
    options.metrics &&
    (await openMetricsListener({
      listen: options.metrics,
      build: { version: options.version ?? '', runtime: `node ${process.version}` },
      families: privateServices.metrics,
      connections: () => registry.all().length,
    }));
  if (metrics !== undefined) opened.defer(() => metrics.close());
  const secrets = await openSecretBox(stateDir);
  let quick: QuickTunnels | undefined;
  if (options.quickTunnels) {
    const urlOf = (hostname: string): string => publicUrl(hostname, visitors);
    quick = opened.use(
      await startQuickTunnels({
        store,
        secrets,
        live,
        accountTag: accounts.quick.tag,
        domain,
        urlOf,
        logger,
      }),
    );
  }
  opened.defer(followStore(store, registry, logger));
  const controlPlane = createControlPlane({
    store,
    secrets,
    live,
    logger,
    describeEdge: () => ({
      addresses: options.names.map(name => hostAndPort(name, listener.port)),
      caPin: certificates.caPin,
    }),
    pushConfiguration: (tunnelId, version, config) => pushToAll(registry, tunnelId, version, config, logger),
    echo: privateServices.echo,
    ...(quick === undefined ? {} : { quick }),
  });
  api.serve(controlPlane);

  const resources = opened.move();
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    draining = true;
    await listener.close();
    const served = [visitors.drain(options.gracePeriodMs), privateServices.drain(options.gracePeriodMs)];
    registry.expectNobody();
    // Visitors may have sent requests before they learnt of it: those still need connections that take them.
    await Promise.race([Promise.all(served), after(settleMs)]);
    // Connectors learn of it now, to register at another edge while what runs here finishes.
    sayGoodbye(registry);
    await Promise.all([
      ...served,
      ...[...connections].map(connection => connection.drain(options.gracePeriodMs + connectorDrainMs)),
    ]);
    await resources.disposeAsync();
  };
  const stopOnce = (): Promise<void> => {
    stopped ??= stop();
    return stopped;
  };
  return {
    connectorPort: listener.port,
    httpPort: visitors.httpPort,
    httpsPort: visitors.httpsPort,
    apiUrl,
    quickServiceUrl: api.origin,
    caPem: certificates.caPem,
    metrics: metrics?.address,
    registry,
    store,
    privateServices,
    reload: () => certificates.reload(),
    stop: stopOnce,
    [Symbol.asyncDispose]: stopOnce,
  };
}

/**
 * HTTP/2 has GOAWAY, which draining sends. QUIC has no such frame: our own connectors take the end of the control stream
 * for it, where stock ones would give the connection up with all that runs (docs/protocol/edge-protocol.md §9.5); those
 * learn it last.
 */
function sayGoodbye(registry: ConnectorRegistry): void {
  for (const { connection, features: advertised } of registry.all()) {
    if (connection.protocol === 'quic' && advertised.includes(features.controlEndsFirst)) connection.control.end();
  }
}

function openVisitors(
  options: EdgeOptions,
  certificates: Certificates,
  hostnames: HostnameTable,
  registry: ConnectorRegistry,
): Promise<PublicServer> {
  const { logger, returnWaitMs, answerTimeoutMs, visitorTimeouts: timeouts = visitorTimeouts } = options;
  const uploads = new UploadWatch(timeouts.stallMs, timeouts.heldMs);
  const forwarding = { hostnames, registry, logger, returnWaitMs, answerTimeoutMs, timeouts, uploads };
  return openPublicServer({
    timeouts,
    host: options.publicHost,
    httpPort: options.httpPort,
    httpsPort: options.httpsPort,
    certificates,
    logger,
    limits: options.visitorLimits,
    handle: (request, response) => void forward(request, response, forwarding),
  });
}

function pushToAll(
  registry: ConnectorRegistry,
  tunnelId: TunnelId,
  version: number,
  config: string,
  logger: Logger,
): void {
  for (const one of registry.connectionsOf(tunnelId)) void pushConfiguration(one, version, config, logger);
}

/** What visitors type: HTTP where it is listened for, since its certificate needs no trust. */
function publicUrl(hostname: string, { httpPort, httpsPort }: PublicServer): string {
  if (httpPort !== undefined) return `http://${hostname}${httpPort === 80 ? '' : `:${httpPort}`}`;
  return `https://${hostname}${httpsPort === 443 ? '' : `:${httpsPort}`}`;
}

function hostAndPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

async function abortAll(connections: ReadonlySet<EdgeConnection>): Promise<void> {
  const ended = [...connections].map(connection => connection.closed);
  for (const connection of connections)
    connection.abort(new PosternError('connection.closed', 'The edge was stopped.'));
  await Promise.all(ended);
}
