// The kernel's receive buffer of a UDP socket: asking for room, and learning what was dropped for want of it. Calls are Linux only.
// Sources: socket(7) (SO_RCVBUF, SO_RXQ_OVFL), sock_diag(7) (SO_MEMINFO), cmsg(3).

import { readFile } from 'node:fs/promises';
import type { LibC } from './libc.ts';

/**
 * Asked for where a burst may come: some 1,800 datagrams of 1,200 bytes as the kernel counts them, twice what is asked for.
 * Memory is taken only by what waits.
 */
export const receiveBufferBytes = 2 << 20;

const solSocket = 1;
const soRcvbuf = 8;
const soRxqOvfl = 40;
const soMeminfo = 55;
/** Of the nine numbers of SO_MEMINFO. */
const dropsIndex = 8;
const memInfoBytes = 36;

/** cmsghdr and a number of 32 bits, padded. */
export const overflowControlBytes = 24;

const bytes = new DataView(new ArrayBuffer(4));
const word = (value: number): Uint8Array => {
  bytes.setUint32(0, value, true);
  return new Uint8Array(bytes.buffer);
};

/** Asks for room, and for word of drops with what is received. The kernel grants what it likes: nothing fails. */
export function preferRoom(libc: LibC, fd: number): void {
  libc.setsockopt(fd, solSocket, soRcvbuf, word(receiveBufferBytes), 4);
  libc.setsockopt(fd, solSocket, soRxqOvfl, word(1), 4);
}

/** Drops of the socket's whole life from a control message of a receive call; undefined when it is another, or none. */
export function readOverflow(control: Buffer): number | undefined {
  const isOverflow = control.readInt32LE(8) === solSocket && control.readInt32LE(12) === soRxqOvfl;
  return isOverflow ? control.readUInt32LE(16) : undefined;
}

/** Drops of the socket's whole life until now; 0 where the kernel does not tell. */
export function readDrops(libc: LibC, fd: number): number {
  const info = Buffer.alloc(memInfoBytes);
  return libc.getsockopt(fd, solSocket, soMeminfo, info, word(memInfoBytes)) < 0
    ? 0
    : info.readUInt32LE(dropsIndex * 4);
}

/** What to tell the operator when the system's limit (net.core.rmem_max) is below what is asked for; else undefined. */
export async function lowLimitWarning(path = '/proc/sys/net/core/rmem_max'): Promise<string | undefined> {
  let limit: number;
  try {
    limit = Number(await readFile(path, 'utf8'));
  } catch {
    // Another system, or one that hides it: nothing is known.
    return undefined;
  }
  if (!(limit < receiveBufferBytes)) return undefined;
  return (
    `Bursts of UDP datagrams may be lost: the system grants receive buffers of ${limit} bytes only. ` +
    `Set net.core.rmem_max to ${receiveBufferBytes} or more`
  );
}

/** Bytes of a kernel's receive buffer: what was asked for, and what the system granted (0: it does not tell). */
export interface ReceiveBuffer {
  readonly askedBytes: number;
  readonly grantedBytes: number;
}

const limitNames: Partial<Record<NodeJS.Platform, string>> = {
  linux: 'net.core.rmem_max',
  darwin: 'kern.ipc.maxsockbuf',
};

/**
 * Looks at the buffers of QUIC's sockets, one after the other, and warns of the first that is smaller than asked for: the
 * limit is one of the system, so that once is enough. What is undefined, or not told, is no reason.
 */
export function narrowBufferWatch(warn: (text: string) => void): (buffer: ReceiveBuffer | undefined) => void {
  let isWarned = false;
  return buffer => {
    if (isWarned || buffer === undefined) return;
    const { askedBytes, grantedBytes } = buffer;
    if (grantedBytes === 0 || grantedBytes >= askedBytes) return;
    isWarned = true;
    const limit = limitNames[process.platform] ?? "the system's limit of receive buffers";
    warn(
      `QUIC may lose packets in bursts: the system granted its socket a receive buffer of ${grantedBytes} bytes only. ` +
        `Set ${limit} to ${askedBytes} or more`,
    );
  };
}
