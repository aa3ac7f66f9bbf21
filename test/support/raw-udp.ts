// UDP datagrams that no ordinary socket sends: with source port 0, as RFC 768 allows. Linux with CAP_NET_RAW only.

import type { TestContext } from 'node:test';
import { encodeSocketAddress, linuxAbi, openLibC, socketType } from '../../internal/net/linux/libc.ts';

const inet = 2;
const udp = 17;

/** What sends a payload from port 0 to a port on 127.0.0.1; undefined, with the test skipped, where that is not allowed. */
export async function openPortlessSender(
  t: TestContext,
): Promise<((payload: Uint8Array, port: number) => void) | undefined> {
  const libc = process.platform === 'linux' ? await openLibC() : undefined;
  const fd = libc?.socket(inet, socketType.raw | linuxAbi.typeFlags, udp) ?? -1;
  if (libc === undefined || fd < 0) {
    t.skip('a raw socket needs Linux and CAP_NET_RAW');
    return undefined;
  }
  t.after(() => libc.close(fd));
  return (payload, port) => {
    // Source port, destination port, length, no checksum.
    const header = Buffer.alloc(8);
    header.writeUInt16BE(port, 2);
    header.writeUInt16BE(header.length + payload.length, 4);
    const datagram = Buffer.concat([header, payload]);
    const to = encodeSocketAddress(linuxAbi, Uint8Array.of(127, 0, 0, 1), 0, 0);
    if (libc.sendto(fd, datagram, datagram.length, 0, to, to.length) < 0) throw new Error(`errno ${libc.errno()}`);
  };
}
