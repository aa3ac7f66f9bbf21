// A UDP socket of an on-ramp, bound to a literal address, with room in the kernel for bursts.

import { createSocket, type Socket } from 'node:dgram';

/**
 * Kernel buffers asked for: 3,000 datagrams of 1,200 bytes, which a client may send in one go. The system gives what its
 * rmem_max and wmem_max allow; memory is taken only by what waits.
 */
const bufferBytes = 4 << 20;

/** Binds; 0 = any free port. Rejects with the system's error, and leaves nothing open then. The caller closes the socket. */
export async function openBoundSocket(host: string, port: number): Promise<Socket> {
  const family = host.includes(':') ? 6 : 4;
  const socket = createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
    // IPv4 has sockets of its own.
    ipv6Only: family === 6,
    recvBufferSize: bufferBytes,
    sendBufferSize: bufferBytes,
    // Addresses are literal: nothing is to be looked up, and no thread taken.
    lookup: (name, _options, done) => done(null, name, family),
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('error', reject);
  try {
    socket.bind(port, host, resolve);
    await promise;
  } catch (error) {
    socket.close();
    throw error;
  }
  socket.off('error', reject);
  return socket;
}
