// Why a datagram between edge and connector is refused, and the sizes both versions share. Source:
// docs/protocol/datagrams.md §1.

export type DatagramProblem =
  /** No bytes at all. */
  | 'empty'
  /** Fewer bytes than the type's fixed part needs. */
  | 'short'
  /** More bytes than the type allows. */
  | 'oversized'
  /** A type byte that the version does not know. */
  | 'unknown-type';

/** Bytes of a session id (v2) or request id (v3). */
export const sessionIdBytes = 16;
/** Largest UDP payload either end sends. */
export const udpPayloadLimit = 1280;
/** Largest IP packet either end sends. */
export const ipPacketLimit = 1280;
/** The idle time that a hint of 0 means. */
export const defaultIdleMs = 210_000;
