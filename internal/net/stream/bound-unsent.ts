// Bounds what the kernel holds unsent for a TCP peer that reads slowly. Linux lets a send buffer grow to 4 MiB, and all of
// them share a budget of the machine (net.ipv4.tcp_mem): a few hundred slow visitors used it up, whereupon the kernel
// dropped segments of every connection, the tunnel's too. What is on its way does not count, so the throughput of a long way
// stays. Linux only; elsewhere nothing happens. Source: tcp(7), "TCP_NOTSENT_LOWAT" in Linux's ip-sysctl.

import { type LibC, openLibC } from '../linux/libc.ts';

/** Two of the largest pieces that we write, so that a reader who keeps up never waits for us. */
export const unsentBytes = 128 * 1024;
/** For a connection that carries many streams: it is one of few, and each wait for room costs all of them. */
export const unsentBytesOfMany = 512 * 1024;

const ipProtoTcp = 6;
const tcpNotsentLowat = 25;

/**
 * Bounds a connected socket, or a server that listens: sockets that it accepts inherit the bound. Settles when that is done;
 * never rejects, for without the bound everything works as well.
 */
export async function boundUnsent(socket: object, bytes = unsentBytes): Promise<void> {
  if (process.platform !== 'linux') return;
  let libc: LibC;
  try {
    libc = await openLibC();
  } catch {
    // No system calls in this build.
    return;
  }
  const fd = descriptorOf(socket);
  if (fd === undefined) return;
  const value = new Uint8Array(Uint32Array.of(bytes).buffer);
  // A Unix socket refuses, and has no buffer that grows.
  libc.setsockopt(fd, ipProtoTcp, tcpNotsentLowat, value, value.length);
}

/** Node keeps it in the handle, which is gone once the socket is closed. */
function descriptorOf(socket: object): number | undefined {
  const { _handle: handle } = socket as { readonly _handle?: { readonly fd?: number } | null };
  const fd = handle?.fd;
  return fd === undefined || fd < 0 ? undefined : fd;
}
