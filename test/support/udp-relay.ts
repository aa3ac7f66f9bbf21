// A UDP relay in front of one server that loses, duplicates, delays and reorders packets by a seeded generator, drops
// those above a path MTU, can be cut, and can move its outgoing port as a NAT does. For tests of QUIC on bad paths.

import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type SeededRandom, seededRandom } from './seeded-random.ts';

export interface UdpRelayOptions {
  readonly targetPort: number;
  readonly seed: number;
  /** Packets of a thousand, each way. */
  readonly lossPerMille?: number;
  readonly duplicatePerMille?: number;
  /** These wait `reorderDelayMs` more than the others. */
  readonly reorderPerMille?: number;
  readonly reorderDelayMs?: number;
  /** One-way delay. */
  readonly delayMs?: number;
  /** Largest UDP payload that passes. */
  readonly maxPayloadBytes?: number;
}

export interface UdpRelay {
  readonly port: number;
  readonly counts: { forwarded: number; lost: number; duplicated: number; reordered: number; tooLarge: number };
  /** Sends on from a new port, as a NAT whose binding expired: the server sees the client move. */
  rebind(): Promise<void>;
  /** Drops everything while set. */
  cut(blocked: boolean): void;
  close(): Promise<void>;
}

const loopback = '127.0.0.1';

async function bound(socket: Socket): Promise<Socket> {
  socket.bind(0, loopback);
  await once(socket, 'listening');
  // Bursts of a whole window must not be lost here, but only where the options say so.
  socket.setRecvBufferSize(4 * 1024 * 1024);
  return socket;
}

export async function createUdpRelay(options: UdpRelayOptions): Promise<UdpRelay> {
  const random: SeededRandom = seededRandom(options.seed);
  const counts = { forwarded: 0, lost: 0, duplicated: 0, reordered: 0, tooLarge: 0 };
  const timers = new Set<NodeJS.Timeout>();
  let blocked = false;
  let client: RemoteInfo | undefined;
  let closed = false;

  const pass = (bytes: Buffer, send: (bytes: Buffer) => void): void => {
    if (blocked) return;
    if (bytes.length > (options.maxPayloadBytes ?? Number.POSITIVE_INFINITY)) {
      counts.tooLarge += 1;
      return;
    }
    if (random.below(1000) < (options.lossPerMille ?? 0)) {
      counts.lost += 1;
      return;
    }
    const twice = random.below(1000) < (options.duplicatePerMille ?? 0);
    const late = random.below(1000) < (options.reorderPerMille ?? 0);
    counts.duplicated += twice ? 1 : 0;
    counts.reordered += late ? 1 : 0;
    const delayMs = (options.delayMs ?? 0) + (late ? (options.reorderDelayMs ?? 5) : 0);
    for (let copies = twice ? 2 : 1; copies > 0; copies -= 1) {
      counts.forwarded += 1;
      if (delayMs === 0) send(bytes);
      else {
        const timer = setTimeout(() => {
          timers.delete(timer);
          if (!closed) send(bytes);
        }, delayMs);
        timers.add(timer);
      }
    }
  };

  const front = await bound(createSocket('udp4'));
  const openBack = async (): Promise<Socket> => {
    const socket = await bound(createSocket('udp4'));
    socket.on('message', bytes => {
      pass(bytes, copy => {
        if (client !== undefined) front.send(copy, client.port, client.address);
      });
    });
    return socket;
  };
  let back = await openBack();
  front.on('message', (bytes, from) => {
    client = from;
    pass(bytes, copy => back.send(copy, options.targetPort, loopback));
  });

  return {
    port: front.address().port,
    counts,
    rebind: async () => {
      const old = back;
      back = await openBack();
      old.close();
    },
    cut: value => {
      blocked = value;
    },
    close: async () => {
      closed = true;
      for (const timer of timers) clearTimeout(timer);
      const sockets = [front, back];
      await Promise.all(
        sockets.map(socket => {
          const done = once(socket, 'close');
          socket.close();
          return done;
        }),
      );
    },
  };
}
