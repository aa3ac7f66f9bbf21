// Echo on macOS: one unprivileged ICMP datagram socket a family, shared by all flows through our own NAT; replies are
// told apart by us. Only the opening is here. Not run on a Mac yet. Source: docs/protocol/datagrams.md §7.3; Darwin
// icmp(4), icmp6(4).

import { randomInt } from 'node:crypto';
import { bindFd, createIcmpFd, darwinAbi, type LibC, socketType } from '../net/linux/libc.ts';
import { DgramIcmpSocket } from './dgram-icmp-socket.ts';
import type { EchoPlatform } from './echo-platform.ts';
import { SharedEcho } from './shared-echo.ts';
import type { EchoSource } from './source-address.ts';

/** Opens the shared socket of a family; otherwise the system's reason. */
export function openDarwinEcho(
  libc: LibC,
  family: 4 | 6,
  source: EchoSource,
): EchoPlatform | { readonly reason: string } {
  const opened = createIcmpFd(libc, darwinAbi, family, socketType.datagram);
  if ('errno' in opened) return { reason: libc.strerror(opened.errno) };
  const bound = source.given ? bindFd(libc, darwinAbi, opened.fd, source.address, source.scope) : 0;
  if (bound !== 0) {
    libc.close(opened.fd);
    return { reason: libc.strerror(bound) };
  }
  try {
    const socket = new DgramIcmpSocket(opened.fd, family);
    return new SharedEcho('one ICMP socket', family, socket, randomInt(0x1_0000));
  } catch (error) {
    libc.close(opened.fd);
    return { reason: error instanceof Error ? error.message : String(error) };
  }
}
