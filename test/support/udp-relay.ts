// A UDP relay in front of one server that loses, duplicates, delays and reorders packets by a seeded generator, drops
// those above a path MTU, can be cut, and can move its outgoing ports as a NAT does. For tests of QUIC on bad paths.

import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type SeededRandom, seededRandom } from './seeded-random.ts';

export interface UdpRelayOptions {
  readonly targetPort: number;
  readonly seed: number;
  /** 0 or absent = any free port. */
  readonly port?: number;
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
  /** Sees every packet of a client on its arrival. */
  readonly onClientPacket?: (packet: Buffer) => void;
}

export interface UdpRelay {
  readonly port: number;
  /** `blocked`: arrived while cut. */
  readonly counts: {
    forwarded: number;
    lost: number;
    duplicated: number;
    reordered: number;
    tooLarge: number;
    blocked: number;
  };
  /** Clients seen, by their port. */
  readonly clients: number;
  /** Sends on from new ports, as a NAT whose bindings expired: the server sees the clients move. */
  rebind(): Promise<void>;
  /** Drops everything while set. */
  cut(blocked: boolean): void;
  close(): Promise<void>;
}

const loopback = '127.0.0.1';

async function bound(socket: Socket, port = 0): Promise<Socket> {
  socket.bind(port, loopback);
  await once(socket, 'listening');
  // Bursts of a whole window must not be lost here, but only where the options say so.
  socket.setRecvBufferSize(4 * 1024 * 1024);
  return socket;
}

/** Rejects with the system's error when the port is taken. */
export async function createUdpRelay(options: UdpRelayOptions): Promise<UdpRelay> {
  const random: SeededRandom = seededRandom(options.seed);
  const counts = { forwarded: 0, lost: 0, duplicated: 0, reordered: 0, tooLarge: 0, blocked: 0 };
  const timers = new Set<NodeJS.Timeout>();
  const backs = new Map<number, Promise<Socket>>();
  let blocked = false;
  let closed = false;

  const pass = (bytes: Buffer, send: (bytes: Buffer) => void): void => {
    if (closed) return;
    if (blocked) {
      counts.blocked += 1;
      return;
    }
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

  const front = await bound(createSocket('udp4'), options.port);
  /** A socket towards the server for each client, as a NAT has a port for each. */
  const openBack = (client: RemoteInfo): Promise<Socket> => {
    const socket = createSocket('udp4');
    socket.on('message', bytes => pass(bytes, copy => front.send(copy, client.port, client.address)));
    const opening = bound(socket);
    backs.set(client.port, opening);
    return opening;
  };
  const clients = new Map<number, RemoteInfo>();
  front.on('message', (bytes, from) => {
    options.onClientPacket?.(bytes);
    clients.set(from.port, from);
    pass(bytes, copy => {
      void (backs.get(from.port) ?? openBack(from)).then(back => {
        if (!closed) back.send(copy, options.targetPort, loopback);
      });
    });
  });
  const closeSocket = (socket: Socket): Promise<unknown> => {
    const done = once(socket, 'close');
    socket.close();
    return done;
  };

  return {
    port: front.address().port,
    counts,
    get clients() {
      return clients.size;
    },
    rebind: async () => {
      const old = [...backs.values()];
      await Promise.all([...clients.values()].map(openBack));
      await Promise.all(old.map(async back => closeSocket(await back)));
    },
    cut: value => {
      blocked = value;
    },
    close: async () => {
      closed = true;
      for (const timer of timers) clearTimeout(timer);
      await Promise.all([front, ...backs.values()].map(async socket => closeSocket(await socket)));
    },
  };
}
