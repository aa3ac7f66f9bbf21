// A UDP socket of an on-ramp, bound to a literal address. Source: issue "private networks" point 5.

import { createSocket, type Socket } from 'node:dgram';

/** Binds; 0 = any free port. Rejects with what the system says; nothing is left open then. The caller closes it. */
export async function openBoundSocket(host: string, port: number): Promise<Socket> {
  const family = host.includes(':') ? 6 : 4;
  const socket = createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
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
