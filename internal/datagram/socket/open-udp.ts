// Chooses the UDP sockets for this machine: system calls of our own where they are known to work, Node's elsewhere.

import { isPosternError } from '../../errors/error.ts';
import { openLibC } from '../../net/linux/libc.ts';
import { type OpenUdp, openNodeUdp } from './udp-socket.ts';
import { createLinuxUdp } from './udp-socket-linux.ts';

/** 64-bit little-endian Linux, whose structures udp-socket-linux.ts writes. */
const architectures: ReadonlySet<string> = new Set(['x64', 'arm64']);

/** The opener to use. Never rejects: without a koffi binary Node's sockets do the same at a higher price. */
export async function chooseUdp(): Promise<OpenUdp> {
  if (process.platform !== 'linux' || !architectures.has(process.arch)) return openNodeUdp;
  try {
    return createLinuxUdp(await openLibC());
  } catch (error) {
    if (isPosternError(error, 'unavailable')) return openNodeUdp;
    throw error;
  }
}
