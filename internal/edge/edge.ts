// An edge node as one value: opens its state, its listeners and its features, ties them together, and ends them in order.
// Source: docs/protocol/edge-protocol.md §13.

import { setTimeout as after } from 'node:timers/promises';
import { ConnectionEchoes } from '../carriers/connection-echoes.ts';
import { openConnectorListener } from '../carriers/connector-listener.ts';
import { ConnectorRegistry } from '../carriers/connector-registry.ts';
import { followStore } from '../carriers/follow-store.ts';
import { LiveClients } from '../carriers/live-clients.ts';
import { Liveness } from '../carriers/liveness.ts';
import { OldSecrets } from '../carriers/old-secrets.ts';
import { openCertificates } from '../certificates/open-certificates.ts';
import { ensureLocalAccounts } from '../control-plane/accounts.ts';
import { openApiListener } from '../control-plane/api-listener.ts';
import { apiBasePath, createControlPlane } from '../control-plane/control-plane.ts';
import { servePages } from '../control-plane/served-page.ts';
import { errorFields, isPosternError } from '../errors/error.ts';
import { openStore, type StoreEvents } from '../store/open/open-store.ts';
import { sqliteSource } from '../store/open/store-source.ts';
import { openSecretBox } from '../store/secret-box.ts';
import { openStateDirectory } from '../store/state-directory.ts';
import type { BeginChoice } from '../visitors/choice.ts';
import { readErrorTemplate } from '../visitors/error-template.ts';
import { openVisitors } from '../visitors/open/open-visitors.ts';
import { openHostnameTable } from '../visitors/routing/hostname-table.ts';
import { managementHostOf, openFeatures } from './features.ts';
import { openMetricsListener } from './metrics-listener.ts';
import { openAutomatic } from './open-automatic.ts';
import type { Edge, EdgeOptions } from './options.ts';

/**
 * After the listeners are closed, visitors' open connections may bring requests for this long. Half a second is more than a
 * long round trip.
 */
const settleMs = 500;
/** How much longer than visitors connectors of a stopping edge may take: only stragglers are left then. */
const connectorDrainMs = 5_000;

/**
 * Opens everything. What was opened is closed again when a later part fails. Throws 'config.invalid', 'file.failed',
 * 'listen.failed', 'store.failed', 'tls.failed', and what features throw (features.ts).
 */
export async function openEdge(options: EdgeOptions): Promise<Edge> {
  await using opened = new AsyncDisposableStack();
  const { logger, stateDir, domain, names, gracePeriodMs } = options;
  openStateDirectory(stateDir);
  const store = opened.use(await openStore(options.store ?? sqliteSource(stateDir), storeEvents(logger)));
  const secrets = await openSecretBox(stateDir);
  const managementHost = managementHostOf(options);
  const hostnames = await openHostnameTable<BeginChoice>(store, error =>
    logger.error(errorFields(error), 'Cannot read host names'),
  );
  opened.defer(() => hostnames.close());
  const automatic = await openAutomatic(options, { store, secrets }, opened);
  const certificates = opened.use(
    await openCertificates({
      ...options,
      visitorDomains: [domain],
      serves: name => (name === managementHost ? 'name' : hostnames.routed(name)),
      automatic: automatic?.certificates,
    }),
  );

  const registry = new ConnectorRegistry({ managementHost });
  // Before the first connector can register: it must not miss a change.
  opened.defer(followStore(store, registry, logger));
  const oldSecrets = new OldSecrets({ store, registry, logger });
  opened.defer(() => oldSecrets.close());
  opened.use(new Liveness({ registry }));
  opened.use(new ConnectionEchoes({ registry, logger, times: options.echoTimes }));
  const live = opened.use(new LiveClients({ store, registry, logger }));
  let phase: 'starting' | 'serving' | 'stopping' = 'starting';
  const connectors = opened.use(
    await openConnectorListener({
      ...options,
      ...options.connectors,
      store,
      registry,
      certificates,
      drainTimeoutMs: gracePeriodMs,
      onOldSecret: tunnelId => void oldSecrets.watch(tunnelId),
    }),
  );
  const { errorPageFile } = options;
  const readErrorPage = async () => (errorPageFile === undefined ? undefined : readErrorTemplate(errorPageFile));
  const errorPage = await readErrorPage();
  const visitors = opened.use(
    await openVisitors({
      ...options,
      host: options.publicHost,
      certificates,
      hostnames,
      registry,
      timeouts: options.visitorTimeouts,
      limits: options.visitorLimits,
      errorPage,
      connectors,
    }),
  );

  const [name = options.connectors.host] = names;
  const api = await openApiListener({ ...options.api, certificates, name });
  opened.defer(() => api.close());
  const apiUrl = `${api.origin}${apiBasePath}`;
  const accounts = await ensureLocalAccounts(store, { stateDir, domain, apiUrl, logger });
  const describeEdge = () => ({
    addresses: names.map(connectors.addressOf),
    caPin: certificates.caPin,
    sharedPort: visitors.httpsPort,
  });
  const { urlOf, secureUrlOf } = visitors;
  const {
    list: features,
    privateServices,
    balancing,
  } = await openFeatures(
    {
      options,
      store,
      secrets,
      registry,
      live,
      hostnames,
      accounts,
      describeEdge,
      urlOf,
      certificates,
      automatic: automatic?.certificates,
      secureUrlOf,
    },
    opened,
  );
  const metrics =
    options.metrics &&
    (await openMetricsListener({
      listen: options.metrics,
      build: { version: options.version ?? '', runtime: `node ${process.version}` },
      families: features.flatMap(feature => feature.metrics ?? []),
      connections: () => registry.all().length,
      certificates,
      unready: async () => {
        if (phase !== 'serving') return `The edge is ${phase}`;
        try {
          await store.accounts.byName('local');
        } catch (error) {
          // Visitors are served from memory: taking this edge out of service would not help them.
          if (!isPosternError(error, 'store.away')) throw error;
        }
        return undefined;
      },
      isStoreReachable: () => store.isReachable(),
    }));
  opened.defer(() => metrics?.close());
  for (const { passthrough } of features) if (passthrough !== undefined) visitors.passThrough(passthrough);
  visitors.serve(features.flatMap(feature => feature.steps ?? []));
  const controlPlane = createControlPlane({
    store,
    secrets,
    live,
    logger,
    describeEdge,
    balanceRoute: balancing.balanceRoute,
    calls: features.flatMap(feature => feature.api ?? []),
  });
  api.serve(
    servePages(
      features.flatMap(feature => feature.pages ?? []),
      controlPlane,
      { logger },
    ),
  );

  automatic?.start(hostnames, accounts, managementHost);
  phase = 'serving';

  const resources = opened.move();
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    phase = 'stopping';
    await connectors.refuse();
    const draining = Promise.all([visitors, ...features].map(part => part.drain?.(gracePeriodMs)));
    registry.expectNobody();
    // Visitors may have sent requests before they learnt of it: those still need connections that take them.
    await Promise.race([draining, after(settleMs)]);
    connectors.sayGoodbye();
    await Promise.all([draining, connectors.drain(gracePeriodMs + connectorDrainMs)]);
    await resources.disposeAsync();
  };
  const reload = async (): Promise<void> => {
    const page = await readErrorPage();
    await certificates.reload();
    if (page !== undefined) visitors.showErrorsWith(page);
  };
  const stopOnce = (): Promise<void> => {
    stopped ??= stop();
    return stopped;
  };
  return {
    connectorPort: connectors.port,
    httpPort: visitors.httpPort,
    httpsPort: visitors.httpsPort,
    apiUrl,
    quickServiceUrl: api.origin,
    caPem: certificates.caPem,
    automatic: automatic?.certificates,
    challengeDnsPort: automatic?.dnsPort,
    metrics: metrics?.address,
    registry,
    store,
    privateServices,
    features,
    reload,
    stop: stopOnce,
    [Symbol.asyncDispose]: stopOnce,
  };
}

function storeEvents(logger: EdgeOptions['logger']): StoreEvents {
  return {
    onDeath: error => logger.error(errorFields(error), 'The store’s thread died; the next call starts another'),
    onReachable: (reachable, reason) => {
      if (reachable) logger.info('The database of the store answers again');
      else
        logger.error(
          errorFields(reason),
          'The database of the store is away: serving from memory, changes are refused',
        );
    },
  };
}
