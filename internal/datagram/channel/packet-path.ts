// How IP packets (ICMP) pass between the datagrams of a connection and the room that handles them. The two rooms meet in these
// types only.

/** Where replies to a packet go: one connection's datagrams. */
export interface PacketReturnPath {
  readonly connIndex: number;
  /** False once the connection has ended. */
  readonly open: boolean;
  /** Sends one whole IP packet (copied); false when it was dropped, which the path counts. */
  sendPacket(packet: Uint8Array): boolean;
}

export interface PacketHandler {
  /** Takes one packet from the peer. The view is valid only during the call. Must not throw. */
  packet(packet: Uint8Array, from: PacketReturnPath): void;
}
