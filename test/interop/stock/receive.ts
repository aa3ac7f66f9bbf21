// Reads what comes on a socket of a scenario.

import type { Socket } from 'node:net';

/** The first `wanted` bytes, or fewer when the socket closes before, in whatever way. */
export async function receive(socket: Socket, wanted: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= wanted) resolve();
  });
  socket.on('error', () => undefined).once('close', () => resolve());
  await promise;
  return Buffer.concat(chunks);
}
