// What the datagram room counts, one set a connection index; the metrics endpoint reads it. Source:
// docs/protocol/datagrams.md §10.

import type { DatagramProblem } from '../../wire/datagram/datagram-problem.ts';

/**
 * Why a datagram was dropped. `write_…` is towards the origin, `read_…` from the origin, `send_…` towards the peer.
 * The first six are the names operators know; `read_full`, for which the kernel had no room, and `send_…` are ours.
 */
export type DropReason =
  | 'write_failed'
  | 'write_deadline_exceeded'
  | 'write_full'
  | 'write_flow_unknown'
  | 'read_failed'
  | 'read_too_large'
  | 'read_full'
  | 'send_too_large'
  | 'send_full';

/** Counts only rise, but for `activeSessions`. */
export interface DatagramCounters {
  activeSessions: number;
  totalSessions: number;
  failedSessions: number;
  rateLimited: number;
  retryResponses: number;
  migratedSessions: number;
  /** Calls of the edge that belong to another datagram version. */
  readonly unsupportedCommands: Record<'register_udp_session' | 'unregister_udp_session', number>;
  /** Sessions to the virtual DNS service; they count as sessions too. */
  virtualDns: number;
  readonly dropped: Record<DropReason, number>;
  /** IP packets that could not be handed on, either way. */
  readonly droppedPackets: Record<DropReason, number>;
  /** Datagrams that no decoder accepts, and types that this end does not take. */
  readonly malformed: Record<DatagramProblem, number>;
}

export function createDatagramCounters(): DatagramCounters {
  return {
    activeSessions: 0,
    totalSessions: 0,
    failedSessions: 0,
    rateLimited: 0,
    retryResponses: 0,
    migratedSessions: 0,
    unsupportedCommands: { register_udp_session: 0, unregister_udp_session: 0 },
    virtualDns: 0,
    dropped: noDrops(),
    droppedPackets: noDrops(),
    malformed: { empty: 0, short: 0, oversized: 0, 'unknown-type': 0 },
  };
}

function noDrops(): Record<DropReason, number> {
  return {
    write_failed: 0,
    write_deadline_exceeded: 0,
    write_full: 0,
    write_flow_unknown: 0,
    read_failed: 0,
    read_too_large: 0,
    read_full: 0,
    send_too_large: 0,
    send_full: 0,
  };
}
