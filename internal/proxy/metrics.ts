// What the proxy counts. An interface, so that the registry (names, labels) stays with telemetry.
// Source: docs/protocol/commands-and-api.md (metrics): requests, errors, concurrency, status codes, TCP sessions.

export interface ProxyMetrics {
  requestStarted(): void;
  requestEnded(): void;
  requestFailed(): void;
  responded(status: number): void;
  tcpStarted(): void;
  tcpEnded(): void;
  connectFailed(): void;
  /** A private TCP stream was refused at the flow limit. */
  flowRateLimited(): void;
  /** A private stream to the virtual DNS service. */
  virtualDns(): void;
}
