// What the control plane asks of the running edge: which connectors are connected now, here and at other edges on the same
// store. live-clients.ts implements it. Source: docs/protocol/commands-and-api.md §9.2 (ActiveClient, Connection).

import type { TunnelId } from '../schema/api/id.ts';
import type { TunnelActivity } from '../store/contract/records.ts';

/** One registered connection of a connector. */
export interface LiveConnection {
  /** UUID given at registration. */
  readonly id: string;
  /** Its number among those of its connector. */
  readonly index: number;
  readonly protocol: string;
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
  /** Numbers of connections that it had in this time, lost, and neither has nor is about to get back. */
  readonly missing: readonly number[];
  /** Version of the configuration that the edge gave it last; 0 = none. */
  readonly configVersion: number;
}

/**
 * `inactive`: never had a connection. `healthy`: every connection that its connectors had is there. `degraded`: it can take
 * requests, but a connector lost one of its connections and has not got it back. `down`: it had connections and has none.
 */
export const tunnelStatuses = ['inactive', 'healthy', 'degraded', 'down'] as const;
export type TunnelStatus = (typeof tunnelStatuses)[number];

export interface TunnelState {
  readonly status: TunnelStatus;
  /** Since when it has had a connection without a gap; undefined while it has none. */
  readonly activeAtMs: number | undefined;
  /** When it lost its last connection; undefined while it has one, and when it never had. */
  readonly inactiveAtMs: number | undefined;
  /** As `LiveConnections.list` gives them. */
  readonly clients: readonly ActiveClient[];
  /** What is remembered of its last time with connections. */
  readonly activity: TunnelActivity | undefined;
}

export interface LiveConnections {
  /** Connectors of a tunnel, oldest first; those without a living connection too, while they are expected back. */
  list(tunnelId: TunnelId): Promise<readonly ActiveClient[]>;
  /** How each of the tunnels stands. */
  states(ids: readonly TunnelId[]): Promise<ReadonlyMap<TunnelId, TunnelState>>;
  /** Tunnels with a living connection. */
  tunnels(): Promise<ReadonlySet<TunnelId>>;
  /** Closes the connections of a tunnel, or of one of its connectors only, to this edge. */
  disconnect(tunnelId: TunnelId, clientId?: string): void;
}
