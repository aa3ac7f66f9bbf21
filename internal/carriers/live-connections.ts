// What the control plane asks of the running edge: which connectors are connected now, here and at other edges on the same
// store. live-clients.ts implements it. Source: docs/protocol/commands-and-api.md §9.2 (ActiveClient, Connection).

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
  /** When the first of its connections registered; it stays while any of them lives. */
  readonly runAtMs: number;
  readonly connections: readonly LiveConnection[];
}

export interface LiveConnections {
  /** Connectors of a tunnel, oldest first; those without a living connection too, while they are expected back. */
  list(tunnelId: TunnelId): Promise<readonly ActiveClient[]>;
  /** Tunnels with a living connection. */
  tunnels(): Promise<ReadonlySet<TunnelId>>;
  /** Closes the connections of a tunnel, or of one of its connectors only, to this edge. */
  disconnect(tunnelId: TunnelId, clientId?: string): void;
}
