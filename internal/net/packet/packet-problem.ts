// Why a packet from the network is refused: one word a reason, used as a metric label and in logs.

export type PacketProblem =
  /** No bytes at all. */
  | 'empty'
  /** The version nibble is neither 4 nor 6. */
  | 'version'
  /** Fewer bytes than the headers need. */
  | 'short'
  /** More bytes than the largest packet taken. */
  | 'oversized'
  /** A length field disagrees with the bytes that are there. */
  | 'length'
  | 'header-checksum'
  /** IPv4 options. */
  | 'options'
  | 'fragment'
  /** An IPv6 extension header. */
  | 'extension'
  /** Not ICMP, or ICMP of the other family. */
  | 'protocol'
  | 'icmp-checksum';
