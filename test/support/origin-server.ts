// Real origin servers for tests, on port 0 or a socket path, closed with everything they hold when the test ends.

import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Closing } from './closing.ts';

/** Listens on loopback (or another address, or a socket path) and closes with the test; returns the port, 0 for a path. */
export async function listen(t: Closing, server: Server, path?: string, address = '127.0.0.1'): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  if (path === undefined) server.listen(0, address);
  else server.listen(path);
  await once(server, 'listening');
  t.after(async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  });
  const bound = server.address();
  return typeof bound === 'object' ? ((bound as AddressInfo | null)?.port ?? 0) : 0;
}

/** A server on bare sockets that stay half-open. */
export async function listenRaw(t: Closing, handler: (socket: Socket) => void): Promise<number> {
  return listen(t, createServer({ allowHalfOpen: true }, handler));
}

/** Collects a socket's bytes until they contain `text`. */
export async function readUntil(socket: Socket, text: string): Promise<string> {
  let seen = '';
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    seen += (chunk as Buffer).toString('latin1');
    if (seen.includes(text)) break;
  }
  return seen;
}
