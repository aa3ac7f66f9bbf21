// What the proxy counts. An interface, so that the registry (names, labels) stays with telemetry.
// Names: docs/protocol/commands-and-api.md §14.

import type { HostFigures } from '../telemetry/host-figures.ts';

export interface ProxyMetrics {
  requestStarted(): void;
  requestEnded(): void;
  requestFailed(): void;
  responded(status: number): void;
  tcpStarted(): void;
  tcpEnded(): void;
  connectFailed(): void;
  /** A connection to an origin or a private destination was made, in so many milliseconds. */
  connected(tookMs: number): void;
  /** Figures of the host that a rule names; `''` and `*` share one. */
  figuresOf(hostname: string): HostFigures;
  /** Rules for other hosts are no more. */
  keepHosts(hostnames: ReadonlySet<string>): void;
  /** A private TCP stream was refused at the flow limit. */
  flowRateLimited(): void;
  /** A private stream to the virtual DNS service. */
  virtualDns(): void;
}
