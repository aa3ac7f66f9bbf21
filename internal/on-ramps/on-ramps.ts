// The private side of an edge as one value: routes, flows, and the on-ramps that are asked for, opened and closed
// together.

import type { ConnectorRegistry } from '../carriers/connector-registry.ts';
import { describeError, PosternError } from '../errors/error.ts';
import { isLoopbackHost } from '../net/address/ip.ts';
import type { Resolver } from '../private-network/dns/upstream.ts';
import { FlowCounts } from '../private-network/flows/flow-counts.ts';
import { FlowTracker } from '../private-network/flows/flow-tracker.ts';
import { logFlows } from '../private-network/flows/log-flows.ts';
import { PrivateNetwork } from '../private-network/private-network.ts';
import { findNetwork } from '../private-network/routes/find-network.ts';
import { openRouteTable } from '../private-network/routes/route-table.ts';
import type { NetworkRecord } from '../store/contract/records.ts';
import type { Store } from '../store/contract/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { MetricFamily } from '../telemetry/metrics.ts';
import { type DnsCounters, openDnsForwarder } from './dns/forwarder.ts';
import { EchoService } from './echo/echo-service.ts';
import { Admission } from './entrance/admission.ts';
import type { ListenOptions } from './entrance/listener.ts';
import { openHttpProxy } from './http-proxy/http-proxy.ts';
import { onRampMetrics } from './on-ramp-metrics.ts';
import { openSocksServer } from './socks/server.ts';

/** Which on-ramps an edge has. */
export interface OnRampSettings {
  /** `open`: no credentials are needed, for the operator's own account; only on loopback. */
  readonly socks?: (ListenOptions & { readonly open: boolean }) | undefined;
  readonly httpProxy?: (ListenOptions & { readonly open: boolean }) | undefined;
  readonly dns: readonly DnsSettings[];
  /** See PrivateNetworkOptions. */
  readonly confineHostnames?: boolean | undefined;
}

export interface DnsSettings extends ListenOptions {
  /** Name or id of a virtual network of the operator's account. */
  readonly vnet: string;
  readonly resolver: Resolver;
}

export interface PrivateServicesOptions {
  readonly store: Store;
  readonly registry: ConnectorRegistry;
  readonly logger: Logger;
  /** The operator's account. */
  readonly accountTag: string;
  readonly onRamps: OnRampSettings;
}

export interface PrivateServices extends AsyncDisposable {
  /** Takes no new flows; settles when the TCP flows have ended, at the latest after `timeoutMs`. What runs then goes on. */
  drain(timeoutMs: number): Promise<void>;
  readonly network: PrivateNetwork;
  readonly echo: EchoService;
  readonly socksPort: number | undefined;
  readonly httpProxyPort: number | undefined;
  /** In the order of the settings. */
  readonly dnsPorts: readonly number[];
  /** What all of them count. */
  readonly metrics: readonly MetricFamily[];
}

/**
 * Opens everything; what was opened is closed again when a later part fails. Throws 'listen.failed', 'store.failed', and
 * 'config.invalid' for a listener without credentials that others could reach.
 */
export async function openPrivateServices(options: PrivateServicesOptions): Promise<PrivateServices> {
  const { store, registry, logger, accountTag, onRamps } = options;
  await using opened = new AsyncDisposableStack();
  const routes = opened.use(
    await openRouteTable(store, error => logger.error({ error: describeError(error) }, 'Cannot read private routes')),
  );
  const tracker = new FlowTracker();
  opened.defer(logFlows(tracker, logger));
  const flows = opened.use(new FlowCounts(tracker));
  // The first listener of a network names the resolver that knows its names.
  const resolverOf = ({ id }: NetworkRecord): Resolver | undefined =>
    onRamps.dns.find(({ vnet }) => findNetwork(routes, accountTag, vnet)?.id === id)?.resolver;
  const network = new PrivateNetwork({
    routes,
    registry,
    tracker,
    logger,
    resolverOf,
    confineHostnames: onRamps.confineHostnames,
  });
  opened.defer(() => network.close());
  const echo = new EchoService(network);
  opened.defer(() => echo.close());
  const shared = { network, logger };
  const listeners: Listener[] = [];
  const keep = <T extends Listener>(service: T): T => {
    opened.defer(() => service.close());
    listeners.push(service);
    return service;
  };

  const { socks, httpProxy } = onRamps;
  for (const [name, settings] of [
    ['socks', socks],
    ['http-proxy', httpProxy],
  ] as const) {
    if (settings?.open === true && !isLoopbackHost(settings.host))
      throw new PosternError(
        'config.invalid',
        `--${name}-open needs a loopback address, --${name} is on ${settings.host}`,
      );
  }
  const onEnd = (tokenId: string): void => tracker.revoke(tokenId);
  const admission = opened.use(new Admission({ store, routes, logger, onEnd }));
  const openAdmission = opened.use(new Admission({ store, routes, logger, onEnd, openAccountTag: accountTag }));
  const socksServer =
    socks && keep(await openSocksServer({ ...shared, ...socks, admission: socks.open ? openAdmission : admission }));
  const proxyServer =
    httpProxy &&
    keep(await openHttpProxy({ ...shared, ...httpProxy, admission: httpProxy.open ? openAdmission : admission }));
  const forwarders: { readonly vnet: string; readonly counters: DnsCounters; readonly port: number }[] = [];
  for (const settings of onRamps.dns) {
    const vnet = (): NetworkRecord | undefined => findNetwork(routes, accountTag, settings.vnet);
    if (vnet() === undefined)
      logger.warn({ vnet: settings.vnet }, 'There is no such virtual network yet; its DNS listener refuses until then');
    const { counters, port } = keep(await openDnsForwarder({ ...shared, ...settings, vnet }));
    forwarders.push({ vnet: settings.vnet, counters, port });
  }
  const resources = opened.move();
  return {
    network,
    echo,
    drain(timeoutMs) {
      for (const listener of listeners) listener.stop();
      return streamsEnded(tracker, timeoutMs);
    },
    socksPort: socksServer?.port,
    httpProxyPort: proxyServer?.port,
    dnsPorts: forwarders.map(({ port }) => port),
    metrics: onRampMetrics({
      network,
      flows,
      echo,
      dns: forwarders,
      socks: socksServer,
      admissions: [admission, openAdmission],
    }),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

interface Listener {
  stop(): void;
  close(): Promise<void>;
}

function streamsEnded(tracker: FlowTracker, timeoutMs: number): Promise<void> {
  const hasStreams = (): boolean => tracker.active().some(flow => flow.protocol === 'tcp');
  if (!hasStreams()) return Promise.resolve();
  return new Promise(resolve => {
    const done = (): void => {
      clearTimeout(timer);
      unsubscribe();
      resolve();
    };
    const timer = setTimeout(done, timeoutMs);
    const unsubscribe = tracker.subscribe(event => {
      if (event.kind === 'ended' && event.flow.protocol === 'tcp' && !hasStreams()) done();
    });
  });
}
