// The edge's end of one connection's datagrams: what both versions offer to the flows above. Source:
// docs/protocol/datagrams.md §4, §5.

import type { IpBytes } from '../../net/address/ip.ts';
import type { DatagramCounters } from '../channel/counters.ts';
import type { PacketHandler, PacketReturnPath } from '../channel/packet-path.ts';

/** How a registration ended. `no-answer` may be tried again elsewhere. */
export type RegisterOutcome =
  | { readonly kind: 'ok' }
  | { readonly kind: 'refused'; readonly message: string; readonly rateLimited: boolean }
  | { readonly kind: 'no-answer' };

/** One UDP session as the muxer sees it. Its methods are called by the muxer and must not throw. */
export interface EdgeSession {
  /** 16 bytes; does not change while registered. */
  readonly id: Uint8Array;
  readonly address: IpBytes;
  readonly port: number;
  /** Idle time to ask the connector for: longer than the edge's own, so that the edge decides. */
  readonly idleHintMs: number;
  /** The answer to `register`, exactly once for each call unless the connection is lost before. */
  registered(outcome: RegisterOutcome): void;
  /** One payload from the origin; the view is valid only during the call. */
  payload(payload: Uint8Array): void;
  /** The connector ended the session, or turned out not to know it any more. */
  ended(message: string): void;
  /** The connection is gone, and the session with it. */
  lost(): void;
}

export interface EdgeMux extends PacketReturnPath {
  readonly version: 2 | 3;
  readonly counters: DatagramCounters;
  /** Largest UDP payload that fits now: 1280, or less where the path is narrow. */
  readonly payloadLimit: number;
  /** Takes IP packets from the connector (echo replies, time exceeded); they are dropped until one is set. */
  onPacket(handler: PacketHandler): void;
  /** Asks the connector to open the session. */
  register(session: EdgeSession): void;
  /** Asks again for an open session whose origin is silent: finds out whether the connector still knows it (v3 only). */
  refresh(session: EdgeSession): void;
  /** Sends one payload (copied); false when it was dropped and counted. */
  sendPayload(session: EdgeSession, payload: Uint8Array): boolean;
  /** Ends the session from this side; the muxer forgets it and tells the connector where the version can. */
  unregister(session: EdgeSession, message: string): void;
  /** The connection has ended: all sessions are told `lost`. Idempotent. */
  close(): void;
}
