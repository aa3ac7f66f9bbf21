// What an edge is opened with, and what it is once it is open.

import type { EchoTimes } from '../carriers/connection-echoes.ts';
import type { ConnectorListenerOptions } from '../carriers/connector-listener.ts';
import type { ConnectorRegistry } from '../carriers/connector-registry.ts';
import type { AutomaticCertificates, AutomaticOptions } from '../certificates/acme/automatic-certificates.ts';
import type { PortRange } from '../features/public-ports/port-range.ts';
import type { AddressLimits } from '../net/limits/address-limiter.ts';
import type { OnRampSettings, PrivateServices } from '../on-ramps/on-ramps.ts';
import type { Store } from '../store/contract/store.ts';
import type { StoreSource } from '../store/open/store-source.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Tracer } from '../telemetry/tracing/tracer.ts';
import type { VisitorTimeouts } from '../visitors/limits.ts';
import type { VisitorLimits } from '../visitors/places.ts';
import type { EdgeFeature } from './feature.ts';

export interface ListenAddress {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
}

/** How public certificates are had. */
export interface AcmeOptions
  extends Pick<AutomaticOptions, 'authority' | 'limits' | 'now' | 'random' | 'checkIntervalMs'> {
  /** Where the edge answers as the name server of `_acme-challenge` of its domain; undefined = nowhere, and no wildcards. */
  readonly dns?: ListenAddress | undefined;
  /** A program that sets `_acme-challenge` at the domain's provider; see hook-dns.ts. */
  readonly dnsHook?: string | undefined;
}

export interface EdgeOptions {
  /** Made when missing; holds the CA, the database and the API credential. */
  readonly stateDir: string;
  /** Where tunnels and routes are kept. Default: SQLite in the state directory. */
  readonly store?: StoreSource | undefined;
  /** Zone whose subdomains are given out. */
  readonly domain: string;
  readonly connectors: ListenAddress;
  /** Beside the transport's `edgeTuning`. */
  readonly quicTuning?: ConnectorListenerOptions['quicTuning'];
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
  /** An HTML file that browsers are shown of failed requests; see visitors/error-template.ts. Default: the built-in page. */
  readonly errorPageFile?: string | undefined;
  /** The authority that gives public certificates; excludes `certFile`. Undefined = the private CA serves. */
  readonly acme?: AcmeOptions | undefined;
  readonly quickTunnels: boolean;
  /** Host name of requests to connectors themselves. Default: `postern-management` in the domain. */
  readonly managementHost?: string | undefined;
  /** Ports that may be given to tunnels, on `publicHost`; none by default. */
  readonly publicPorts?: readonly PortRange[] | undefined;
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
  /** Echoes through the connections of connectors. Default: `echoTimes` of carriers/connection-echoes.ts. */
  readonly echoTimes?: EchoTimes | undefined;
  /** Ways into private networks; none by default. */
  readonly onRamps?: OnRampSettings;
  /** Where metrics are served, without authentication; undefined = nowhere. */
  readonly metrics?: ListenAddress | undefined;
  /** Version text of this program, for the metrics. */
  readonly version?: string | undefined;
  readonly logger: Logger;
  /** Traces visitors' requests; closed with the edge. Undefined = no traces. */
  readonly tracer?: Tracer | undefined;
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
  /** Undefined when no authority is asked. */
  readonly automatic: AutomaticCertificates | undefined;
  /** Where the edge answers as a name server. */
  readonly challengeDnsPort: number | undefined;
  /** Where metrics are served. */
  readonly metrics: ListenAddress | undefined;
  readonly registry: ConnectorRegistry;
  readonly store: Store;
  readonly privateServices: PrivateServices;
  /** All of them, in the order of their steps. */
  readonly features: readonly EdgeFeature[];
  /** Reads certificate files and the error page again. Rejects when one cannot be used; what was there before stays then. */
  reload(): Promise<void>;
  /** Take no more work, finish what runs within the grace period, then close everything. Idempotent. */
  stop(): Promise<void>;
}
