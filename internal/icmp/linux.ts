// Echo on Linux: an unprivileged ping socket a flow (the kernel chooses the echo id and matches replies), or one raw
// socket with our own NAT where only CAP_NET_RAW is held. Source: docs/protocol/datagrams.md §7.3; Linux icmp(7), raw(7).

import { randomInt } from 'node:crypto';
import type { IpBytes } from '../net/address/ip.ts';
import { bindFd, createIcmpFd, errno, type LibC, linuxAbi, socketType } from '../net/linux/libc.ts';
import { icmpHeaderBytes, icmpType } from '../net/packet/packet-icmp.ts';
import type { EchoFlow, EchoPlatform, EchoReplyHandler } from './echo-platform.ts';
import { LinuxIcmpSocket } from './linux-icmp-socket.ts';
import { SharedEcho } from './shared-echo.ts';
import type { EchoSource } from './source-address.ts';

/** Opens the best platform for a family; otherwise the system's reason, and whether a permission is what lacks. */
export function openLinuxEcho(
  libc: LibC,
  family: 4 | 6,
  source: EchoSource,
): EchoPlatform | { readonly reason: string; readonly denied: boolean } {
  const ping = createIcmpFd(libc, linuxAbi, family, socketType.datagram);
  if ('fd' in ping) {
    libc.close(ping.fd);
    return new PingSockets(libc, family, source);
  }
  const raw = createIcmpFd(libc, linuxAbi, family, socketType.raw);
  if ('errno' in raw) {
    const denied = raw.errno === errno.EPERM || raw.errno === errno.EACCES;
    return { reason: libc.strerror(denied ? ping.errno : raw.errno), denied };
  }
  const bound = source.given ? bindFd(libc, linuxAbi, raw.fd, source.address, source.scope) : 0;
  if (bound !== 0) {
    libc.close(raw.fd);
    return { reason: libc.strerror(bound), denied: false };
  }
  const socket = new LinuxIcmpSocket(libc, raw.fd, family);
  socket.passRepliesOnly();
  return new SharedEcho('one raw socket', family, socket, randomInt(0x1_0000));
}

/** One kernel socket a flow. */
class PingSockets implements EchoPlatform {
  readonly name = 'ping sockets';
  readonly #libc: LibC;
  readonly #family: 4 | 6;
  readonly #source: EchoSource;

  constructor(libc: LibC, family: 4 | 6, source: EchoSource) {
    this.#libc = libc;
    this.#family = family;
    this.#source = source;
  }

  openFlow(destination: IpBytes, reply: EchoReplyHandler): EchoFlow | undefined {
    const libc = this.#libc;
    const opened = createIcmpFd(libc, linuxAbi, this.#family, socketType.datagram);
    if ('errno' in opened) return undefined;
    const { given, address, scope } = this.#source;
    if (given && bindFd(libc, linuxAbi, opened.fd, address, scope) !== 0) {
      libc.close(opened.fd);
      return undefined;
    }
    const socket = new LinuxIcmpSocket(libc, opened.fd, this.#family);
    const echoReply = icmpType[this.#family].echoReply;
    socket.receive((from, message, ttl) => {
      // The kernel passes only replies with this socket's id, without IP header, checksum verified.
      if (message.length < icmpHeaderBytes || message[0] !== echoReply) return;
      reply(from, ((message[6] ?? 0) << 8) | (message[7] ?? 0), message.subarray(icmpHeaderBytes), ttl);
    });
    return {
      // Id and checksum are overwritten by the kernel.
      request: message => socket.send(destination, message),
      close: () => socket.close(),
    };
  }

  close(): void {
    // Flows own their sockets; nothing is shared.
  }
}
