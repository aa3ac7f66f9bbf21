// A TCP relay on loopback that can delay, freeze (a peer that vanished without a word) or cut what passes through it.

import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface TcpRelay {
  readonly port: number;
  /** Stop forwarding both ways without closing anything: what a pulled cable looks like. */
  freeze(): void;
  /** Forward again after `freeze`. */
  thaw(): void;
  /** Reset every relayed connection. */
  cut(): void;
  close(): Promise<void>;
}

/** Relays 127.0.0.1:`port` (0 = any free one) to `target`, delaying each chunk by `delayMs` each way. */
export async function openTcpRelay(target: { host: string; port: number }, delayMs = 0, port = 0): Promise<TcpRelay> {
  const sockets = new Set<Socket>();
  let frozen = false;
  const relay = (from: Socket, to: Socket): void => {
    sockets.add(from);
    to.on('drain', () => from.resume());
    from.on('data', chunk => {
      const forward = (): void => {
        if (frozen || to.destroyed) return;
        if (!to.write(chunk)) from.pause();
      };
      if (delayMs > 0) setTimeout(forward, delayMs);
      else forward();
    });
    from.on('end', () => {
      if (!frozen) setTimeout(() => to.end(), delayMs);
    });
    from.on('error', () => to.destroy());
    from.on('close', () => {
      sockets.delete(from);
      if (!frozen) setTimeout(() => to.destroy(), delayMs);
    });
  };
  const server = createServer({ allowHalfOpen: true, noDelay: true }, client => {
    const upstream = connect({ ...target, allowHalfOpen: true, noDelay: true });
    relay(client, upstream);
    relay(upstream, client);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    freeze: () => {
      frozen = true;
    },
    thaw: () => {
      frozen = false;
    },
    cut,
    close: () =>
      new Promise(resolve => {
        cut();
        server.close(() => resolve());
      }),
  };
}
