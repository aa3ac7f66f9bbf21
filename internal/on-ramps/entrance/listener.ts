// A TCP listener of an on-ramp: bounded in connections, closed with everything it holds.

import { createServer, type Server, type Socket } from 'node:net';
import type { AddressLimits } from '../../net/limits/address-limiter.ts';
import { listenFailed, listenTcp } from '../../net/stream/listen-tcp.ts';

export interface ListenOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
}

export interface TcpListener {
  readonly port: number;
  /** Takes no more connections; those that are there go on. Idempotent. */
  stop(): void;
  /** Stops listening and cuts every connection. Idempotent. */
  close(): Promise<void>;
}

/** Whom on-ramps listen for, in errors. */
export const onRampClients = 'clients of private networks';
/** Connections at once on one listener: a tenth of what a process with raised limits may open. Later ones are cut. */
export const maxConnections = 16_384;
/**
 * Connections whose visitor has not been admitted yet: half of all at most, and of one address room for an office whose
 * machines all wake at once, so that silent ones leave room for others.
 */
export const handshakeLimits: AddressLimits = { total: 8_192, perAddress: 1_024 };

/** Listens; sockets are half-open capable and survive their errors. Throws 'listen.failed'. */
export async function openListener(options: ListenOptions, accept: (socket: Socket) => void): Promise<TcpListener> {
  const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 });
  const sockets = new Set<Socket>();
  server.maxConnections = maxConnections;
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', ignore).on('close', () => sockets.delete(socket));
    accept(socket);
  });
  return serverListener(server, options, sockets);
}

/** Makes any server listen, and gives it the listener's end. */
export async function serverListener(
  server: Server,
  options: ListenOptions,
  sockets: ReadonlySet<Socket>,
): Promise<TcpListener> {
  let port: number;
  try {
    port = await listenTcp(server, options.host, options.port);
  } catch (error) {
    throw listenFailed(onRampClients, options.host, options.port, error);
  }
  let closed: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    closed ??= new Promise(resolve => {
      server.close(() => resolve());
    });
    return closed;
  };
  return {
    port,
    stop: () => void stop(),
    close() {
      const ended = stop();
      for (const socket of sockets) socket.destroy();
      return ended;
    },
  };
}

function ignore(): void {
  // The 'close' that follows is what counts.
}
