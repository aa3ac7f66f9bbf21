// The connector's counters as plain numbers, cheap enough for every request, and their exposition under cloudflared's
// metric names, so that existing dashboards work. Source: spec cli-and-api §14 (the metrics whose features exist here).

import { Counter, Gauge, Registry } from 'prom-client';

/** Only gauges and counters read at collection time: counting itself is an addition. */
export class ConnectorMetrics {
  readonly registry = new Registry();
  requests = 0;
  concurrentRequests = 0;
  requestErrors = 0;
  connectErrors = 0;
  activeTcp = 0;
  totalTcp = 0;
  haConnections = 0;
  registrations = 0;
  configurationPushes = 0;
  configurationPushErrors = 0;
  configurationVersion = -1;
  readonly #responses = new Map<number, number>();
  readonly #registrationFailures = new Map<string, number>();
  readonly #locations = new Map<number, string>();

  constructor(build: { readonly version: string; readonly runtime: string }) {
    const { registry } = this;
    new Gauge({
      name: 'build_info',
      help: 'Build and version information',
      labelNames: ['goversion', 'type', 'revision', 'version'],
      registers: [registry],
    }).set({ goversion: build.runtime, type: 'postern', revision: '', version: build.version }, 1);
    const gauge = (name: string, help: string, read: () => number): void => {
      new Gauge({
        name,
        help,
        registers: [registry],
        collect() {
          this.set(read());
        },
      });
    };
    const counter = (name: string, help: string, read: () => number): void => {
      new Counter({
        name,
        help,
        registers: [registry],
        collect() {
          this.reset();
          this.inc(read());
        },
      });
    };
    const tunnel = 'cloudflared_tunnel';
    gauge(`${tunnel}_ha_connections`, 'Number of active ha connections', () => this.haConnections);
    counter(`${tunnel}_total_requests`, 'Amount of requests proxied through all the tunnels', () => this.requests);
    gauge(
      `${tunnel}_concurrent_requests_per_tunnel`,
      'Concurrent requests proxied through each tunnel',
      () => this.concurrentRequests,
    );
    counter(`${tunnel}_request_errors`, 'Count of error proxying to origin', () => this.requestErrors);
    counter(
      'cloudflared_proxy_connect_streams_errors',
      'Total failures establishing a stream to an origin',
      () => this.connectErrors,
    );
    gauge('cloudflared_tcp_active_sessions', 'Concurrent count of TCP sessions', () => this.activeTcp);
    counter('cloudflared_tcp_total_sessions', 'Total count of TCP sessions', () => this.totalTcp);
    counter(
      'cloudflared_config_local_config_pushes',
      'Number of local configuration pushes to the edge',
      () => this.configurationPushes,
    );
    counter(
      'cloudflared_config_local_config_pushes_errors',
      'Number of errors of local configuration pushes',
      () => this.configurationPushErrors,
    );
    gauge('cloudflared_orchestration_config_version', 'Configuration version', () => this.configurationVersion);
    this.#labelled(registry, tunnel);
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
    this.#responses.set(status, (this.#responses.get(status) ?? 0) + 1);
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

  flowRateLimited(_kind: 'tcp' | 'udp'): void {
    this.connectErrors += 1;
  }

  /** The edge location of a registered connection; undefined = it ended. */
  setLocation(connIndex: number, location: string | undefined): void {
    if (location === undefined) this.#locations.delete(connIndex);
    else this.#locations.set(connIndex, location);
  }

  /** `reason`: an error code; duplicates carry the name that dashboards know. */
  registrationFailed(reason: string): void {
    const label =
      reason === 'registration.duplicate'
        ? 'dup_edge_conn'
        : reason === 'registration.refused'
          ? 'server_error'
          : reason;
    this.#registrationFailures.set(label, (this.#registrationFailures.get(label) ?? 0) + 1);
  }

  #labelled(registry: Registry, tunnel: string): void {
    const responses = this.#responses;
    const failures = this.#registrationFailures;
    const locations = this.#locations;
    const registrations = (): number => this.registrations;
    new Counter({
      name: `${tunnel}_response_by_code`,
      help: 'Count of responses by HTTP status code',
      labelNames: ['status_code'],
      registers: [registry],
      collect() {
        this.reset();
        for (const [status, count] of responses) this.inc({ status_code: String(status) }, count);
      },
    });
    new Gauge({
      name: `${tunnel}_server_locations`,
      help: 'Where each tunnel is connected to',
      labelNames: ['connection_id', 'edge_location'],
      registers: [registry],
      collect() {
        this.reset();
        for (const [index, location] of locations)
          this.set({ connection_id: String(index), edge_location: location }, 1);
      },
    });
    new Counter({
      name: `${tunnel}_tunnel_register_success`,
      help: 'Count of successful tunnel registrations',
      labelNames: ['rpcName'],
      registers: [registry],
      collect() {
        this.reset();
        this.inc({ rpcName: 'registerConnection' }, registrations());
      },
    });
    new Counter({
      name: `${tunnel}_tunnel_register_fail`,
      help: 'Count of tunnel registration errors by type',
      labelNames: ['error', 'rpcName'],
      registers: [registry],
      collect() {
        this.reset();
        for (const [error, count] of failures) this.inc({ error, rpcName: 'registerConnection' }, count);
      },
    });
  }
}
