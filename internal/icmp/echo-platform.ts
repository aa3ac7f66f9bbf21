// The seam between the echo proxy and the operating system: one platform object an address family, one flow a
// (visitor, destination, echo id). What differs per system stays behind it. Source: docs/protocol/datagrams.md §7.3.

import type { IpBytes } from '../net/address/ip.ts';

/**
 * Told of one echo reply. `data` is valid only during the call; `from` may be kept. `ttl` is what the reply arrived with,
 * where the system tells. Must not throw.
 */
export type EchoReplyHandler = (from: IpBytes, sequence: number, data: Uint8Array, ttl?: number) => void;

export interface EchoFlow {
  /**
   * Sends one echo request. `message` is a whole ICMP message with right checksum (ICMPv4) and any id: the platform puts
   * its own in. Valid only during the call. False when it was not sent.
   */
  request(message: Uint8Array): boolean;
  /** Idempotent; no replies are told afterwards. */
  close(): void;
}

export interface EchoPlatform {
  /** What is used, for one log line: `ping sockets`, `one raw socket`, `IcmpSendEcho2`. */
  readonly name: string;
  /** Opens a flow to one destination; undefined when the system has no room for it. Never throws. */
  openFlow(destination: IpBytes, reply: EchoReplyHandler): EchoFlow | undefined;
  /** Closes what is shared. Flows have been closed before. */
  close(): void;
}

/** A socket that carries ICMP messages of many flows: raw on Linux, datagram on macOS. */
export interface IcmpSocket {
  /** Sends a message (copied); the system fills the checksum for IPv6 only. False when it was not sent. */
  send(destination: IpBytes, message: Uint8Array): boolean;
  /**
   * Sets the one receiver. IPv4 messages may still carry their IP header. Views are valid only during the call. `ttl`: what
   * the message arrived with, where the system tells it apart from the header.
   */
  receive(handler: (from: IpBytes, message: Uint8Array, ttl?: number) => void): void;
  close(): void;
}
