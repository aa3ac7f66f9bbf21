// The connector's counters as plain numbers, cheap enough for every request. Their families are connector-metrics.ts.

import { type HostFigures, HostTable } from '../telemetry/host-figures.ts';
import { Histogram, type MetricFamily } from '../telemetry/metrics.ts';
import { RpcFigures } from '../telemetry/rpc-figures.ts';

/** What a scrape is answered with. */
export interface MetricsText {
  readonly text: string;
  readonly contentType: string;
}

/** What `build_info` says. */
export interface BuildInfo {
  readonly version: string;
  readonly runtime: string;
}

/** Counting is an addition; everything else happens when somebody asks. */
export class ConnectorMetrics {
  readonly build: BuildInfo;
  requests = 0;
  concurrentRequests = 0;
  requestErrors = 0;
  connectErrors = 0;
  activeTcp = 0;
  totalTcp = 0;
  haConnections = 0;
  registrations = 0;
  quicOpened = 0;
  quicClosed = 0;
  configurationPushes = 0;
  configurationPushErrors = 0;
  configurationVersion = -1;
  /** Private TCP streams refused at the flow limit. */
  tcpRateLimited = 0;
  /** Private TCP streams to the virtual DNS service. */
  virtualDnsTcp = 0;
  /** Responses by HTTP status. */
  readonly responses = new Map<number, number>();
  /** Failed registrations by reason, in the words of dashboards. */
  readonly registrationFailures = new Map<string, number>();
  /** Edge locations by connection index. */
  readonly locations = new Map<number, string>();
  /** Times of connecting to origins, in milliseconds. */
  readonly connectLatency = new Histogram([1, 10, 25, 50, 100, 500, 1_000, 5_000]);
  /** Calls of the edge by this connector. */
  readonly rpcClient = new RpcFigures();
  /** Calls of this connector by the edge. */
  readonly rpcServer = new RpcFigures();
  /** Requests by the hosts of rules. */
  readonly hosts = new HostTable();
  /** Those of other rooms; added before the first exposition. */
  readonly families: MetricFamily[] = [];

  constructor(build: BuildInfo) {
    this.build = build;
  }

  // The proxy's counters (ProxyMetrics of the proxy room, by shape).
  requestStarted(): void {
    this.requests += 1;
    this.concurrentRequests += 1;
  }

  requestEnded(): void {
    this.concurrentRequests -= 1;
  }

  requestFailed(): void {
    this.requestErrors += 1;
  }

  responded(status: number): void {
    this.responses.set(status, (this.responses.get(status) ?? 0) + 1);
  }

  tcpStarted(): void {
    this.activeTcp += 1;
    this.totalTcp += 1;
  }

  tcpEnded(): void {
    this.activeTcp -= 1;
  }

  connectFailed(): void {
    this.connectErrors += 1;
  }

  connected(tookMs: number): void {
    this.connectLatency.observe(tookMs);
  }

  figuresOf(hostname: string): HostFigures {
    return this.hosts.of(hostname === '' || hostname === '*' ? undefined : hostname);
  }

  keepHosts(hostnames: ReadonlySet<string>): void {
    this.hosts.keep(host => hostnames.has(host));
  }

  flowRateLimited(): void {
    this.connectErrors += 1;
    this.tcpRateLimited += 1;
  }

  virtualDns(): void {
    this.virtualDnsTcp += 1;
  }

  /** The edge location of a registered connection; undefined = it ended. */
  setLocation(connIndex: number, location: string | undefined): void {
    if (location === undefined) this.locations.delete(connIndex);
    else this.locations.set(connIndex, location);
  }

  /** `reason`: an error code; duplicates carry the name that dashboards know. */
  registrationFailed(reason: string): void {
    const label =
      reason === 'registration.duplicate'
        ? 'dup_edge_conn'
        : reason === 'registration.refused'
          ? 'server_error'
          : reason;
    this.registrationFailures.set(label, (this.registrationFailures.get(label) ?? 0) + 1);
  }
}
