// What the control plane asks of the running edge: which connectors are connected now. The connector registry implements
// it. Source: spec cli-and-api §9.2 (ActiveClient, Connection).

import type { TunnelId } from '../schema/api-id.ts';

/** One registered connection of a connector. */
export interface LiveConnection {
  /** UUID given at registration. */
  readonly id: string;
  /** Name of the edge location it is connected to. */
  readonly location: string;
  /** Address the connector comes from. */
  readonly originIp: string;
  readonly openedAtMs: number;
  /** Whether the connector lost it and is expected back. */
  readonly pendingReconnect: boolean;
}

/** One connector (replica) of a tunnel. */
export interface ActiveClient {
  /** Connector UUID. */
  readonly id: string;
  readonly features: readonly string[];
  readonly version: string;
  /** `linux_amd64` and the like. */
  readonly arch: string;
  /** When its first connection registered. */
  readonly runAtMs: number;
  readonly connections: readonly LiveConnection[];
}

export interface LiveConnections {
  /** Connectors with at least one connection, oldest first. */
  list(tunnelId: TunnelId): readonly ActiveClient[];
  /** Closes the connections of a tunnel, or of one of its connectors only. */
  disconnect(tunnelId: TunnelId, clientId?: string): void;
}
