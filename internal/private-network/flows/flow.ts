// One flow from an on-ramp into a private network, as logs, limits, policy and discovery see it. Plain data and the
// events of its life.

import type { TunnelId } from '../../schema/api/id.ts';

/**
 * `names`: the edge itself, asking about the names that visitors of the others gave; `load-balancer`: visitors of a public
 * host name that a private member of a pool answers; `public-port`: whoever connects to a port of the edge that is given to a
 * tunnel; `tls-passthrough`: visitors whose TLS the edge does not open.
 */
export type OnRamp =
  | 'socks'
  | 'http-proxy'
  | 'dns'
  | 'echo'
  | 'names'
  | 'load-balancer'
  | 'public-port'
  | 'tls-passthrough';
export type FlowProtocol = 'tcp' | 'udp' | 'icmp';

/** Payload bytes so far: up = from the visitor, down = to the visitor. */
export interface FlowBytes {
  readonly up: number;
  readonly down: number;
}

/** What is known of a flow before it begins. */
export interface FlowSubject {
  readonly onRamp: OnRamp;
  readonly protocol: FlowProtocol;
  readonly accountTag: string;
  /** UUID of the virtual network. */
  readonly networkId: string;
  /** Id of the API token that its client came in with, where one was needed. */
  readonly tokenId?: string | undefined;
  /** Address text of whoever began it. */
  readonly sourceAddress: string;
  /** 0 where the protocol has none. */
  readonly sourcePort: number;
  /** Address text, or a host name that the connector resolves. */
  readonly destination: string;
  /** 0 where the protocol has none. */
  readonly destinationPort: number;
}

/** A flow in progress. */
export interface Flow extends FlowSubject {
  /** Counts up from 1 in the order flows began on this edge. */
  readonly id: number;
  readonly tunnelId: TunnelId;
  /** Milliseconds since the epoch. */
  readonly startedAtMs: number;
  readonly bytes: FlowBytes;
}

/**
 * Why a flow ended. `closed`: by either side in order; `reset`: broken off by either side; `idle`; `refused` by the
 * connector; `unreachable`: no connection, or none that answered; `route-changed`: its route was taken away or leads
 * elsewhere now; `revoked`: the API token of its client is good no more; `edge-stopped`.
 */
export type FlowEndReason =
  | 'closed'
  | 'reset'
  | 'idle'
  | 'refused'
  | 'unreachable'
  | 'route-changed'
  | 'revoked'
  | 'edge-stopped';

/** Why there was no flow: no route leads there, the destination is the connector's own machine, a limit, no address for the name. */
export type FlowDenialReason = 'no-route' | 'special-destination' | 'limit' | 'unresolved';

export type FlowEvent =
  | { readonly kind: 'started'; readonly flow: Flow }
  /** `bytes` are final now. */
  | { readonly kind: 'ended'; readonly flow: Flow; readonly reason: FlowEndReason; readonly endedAtMs: number }
  | {
      readonly kind: 'denied';
      readonly subject: FlowSubject;
      readonly reason: FlowDenialReason;
      readonly atMs: number;
    };
