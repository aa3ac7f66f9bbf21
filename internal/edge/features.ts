// The features of an edge: the one list of them. Its order is the order of their steps: a visitor's request passes the first
// feature's first, the last one's last, and then goes to a connector.

import type { ConnectorRegistry } from '../carriers/connector-registry.ts';
import type { LiveConnections } from '../carriers/live-connections.ts';
import type { AutomaticCertificates } from '../certificates/acme/automatic-certificates.ts';
import type { Certificates } from '../certificates/open-certificates.ts';
import type { LocalAccounts } from '../control-plane/accounts.ts';
import type { EdgeAddress } from '../control-plane/handler-context.ts';
import { openCertificateFeature } from '../features/certificates/open.ts';
import { type LoadBalancing, openLoadBalancing } from '../features/load-balancing/open.ts';
import { openLogin } from '../features/login/open.ts';
import { openManagement } from '../features/management/open.ts';
import { openPeople } from '../features/people/open.ts';
import { openPrivateNetworkApi } from '../features/private-network-api/open.ts';
import { openPublicPorts } from '../features/public-ports/open.ts';
import { openQuickTunnels } from '../features/quick-tunnels/open.ts';
import { openRequestMetrics } from '../features/request-metrics/open.ts';
import { openRequestTraces } from '../features/request-traces/open.ts';
import { openRouteLookup } from '../features/route-lookup/open.ts';
import { openTlsPassthrough } from '../features/tls-passthrough/open.ts';
import { openZoneApi } from '../features/zone-api/open.ts';
import { openPrivateServices, type PrivateServices } from '../on-ramps/on-ramps.ts';
import type { Store } from '../store/contract/store.ts';
import type { SecretBox } from '../store/secret-box.ts';
import type { BeginChoice } from '../visitors/choice.ts';
import type { HostnameTable } from '../visitors/routing/hostname-table.ts';
import type { EdgeFeature } from './feature.ts';
import type { EdgeOptions } from './options.ts';

/** What features are opened with: parts of the edge, which outlive them. */
export interface FeatureParts {
  readonly options: EdgeOptions;
  readonly store: Store;
  readonly secrets: SecretBox;
  readonly registry: ConnectorRegistry;
  readonly live: LiveConnections;
  /** Which host names lead where. */
  readonly hostnames: HostnameTable<BeginChoice>;
  readonly accounts: LocalAccounts;
  /** Where connectors dial this edge. */
  readonly describeEdge: () => EdgeAddress;
  /** Public URL of a host name, with the port visitors use. */
  readonly urlOf: (hostname: string) => string;
  readonly certificates: Certificates;
  /** Undefined = no authority is asked. */
  readonly automatic: AutomaticCertificates | undefined;
  /** The same over HTTPS, where the edge listens for that. */
  readonly secureUrlOf: (hostname: string) => string;
}

export interface Features {
  readonly list: readonly EdgeFeature[];
  /** The ways into private networks, for whoever asks where they listen. */
  readonly privateServices: PrivateServices;
  readonly balancing: LoadBalancing;
}

/** The host name by which connectors are asked themselves. */
export function managementHostOf({ domain, managementHost }: EdgeOptions): string {
  return (managementHost ?? `postern-management.${domain}`).toLowerCase();
}

/** Opens every feature; `opened` disposes of them, the last one first. Throws what their `open…` throw. */
export async function openFeatures(parts: FeatureParts, opened: AsyncDisposableStack): Promise<Features> {
  const { accounts, options, store, registry } = parts;
  const { logger, domain, onRamps = { dns: [] } } = options;
  const list: EdgeFeature[] = [];
  const add = <Feature extends EdgeFeature>(feature: Feature): Feature => {
    list.push(opened.use(feature));
    return feature;
  };
  // First: what an authority asks is no request of a visitor.
  add(openCertificateFeature({ ...parts, operator: accounts.local.tag }));
  add(await openManagement({ ...parts, ...{ stateDir: options.stateDir, host: managementHostOf(options), logger } }));
  if (options.tracer !== undefined) add(openRequestTraces({ tracer: options.tracer, hostnames: parts.hostnames }));
  add(openRequestMetrics(parts));
  add(openRouteLookup(parts));
  add(openZoneApi({ store }));
  add(openPeople({ store }));
  add(openLogin({ ...parts, logger }));
  const privateServices = add(
    await openPrivateServices({ store, registry, logger, accountTag: accounts.local.tag, onRamps }),
  );
  add(openPrivateNetworkApi({ store, echo: privateServices.echo }));
  const { network } = privateServices;
  add(openTlsPassthrough({ ...parts, network, logger }));
  const { publicHost: host, publicPorts: ranges = [] } = options;
  add(await openPublicPorts({ store, network, logger, host, ranges }));
  const { location } = options;
  const balancing = add(await openLoadBalancing({ ...parts, network, logger, location }));
  if (options.quickTunnels) add(await openQuickTunnels({ ...parts, accountTag: accounts.quick.tag, domain, logger }));
  return { list, privateServices, balancing };
}
