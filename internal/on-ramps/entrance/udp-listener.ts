// A UDP listener that answers from the address it was asked at. One socket on a wildcard address would answer from whatever
// address the system prefers, which clients drop; so there is a socket for each address of this machine, and the list is
// looked at again now and then. RFC 1122 §4.1.3.5 asks for it.

import type { RemoteInfo, Socket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { describeError } from '../../errors/error.ts';
import { parseIp } from '../../net/address/ip.ts';
import { listenFailed } from '../../net/stream/listen-tcp.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { openBoundSocket } from './bound-socket.ts';
import { type ListenOptions, onRampClients } from './listener.ts';

/** Who sent a datagram, and the way back to there. */
export interface UdpClient extends Pick<RemoteInfo, 'address' | 'port'> {
  /** Sends a datagram back; the bytes are kept until they are sent. False when too many wait: it was dropped. */
  reply(message: Uint8Array): boolean;
}

export interface UdpListenerEvents {
  /** A datagram; its buffer is the receiver's to keep and to change. */
  readonly message: (message: Buffer, from: UdpClient) => void;
  /** A datagram that `reply` took was not sent after all. */
  readonly lost: () => void;
}

export interface UdpListenerOptions extends ListenOptions {
  readonly logger: Logger;
  /** Addresses of this machine, as text; default: those of its interfaces. May throw. */
  readonly addresses?: (() => readonly string[]) | undefined;
}

export interface UdpListener {
  readonly port: number;
  /** Idempotent. */
  close(): void;
}

/** How often a listener on a wildcard address looks for addresses that came or went. */
const rescanMs = 5_000;
/** Answers waiting in user space, a socket. */
const sendQueueLimit = 1_024;

/** Listens. Throws 'listen.failed' when it can bind none of the addresses. */
export async function openUdpListener(options: UdpListenerOptions, events: UdpListenerEvents): Promise<UdpListener> {
  const { host } = options;
  if (host !== '0.0.0.0' && host !== '::') {
    const socket = serve(await bind(host, options.port), events);
    return { port: socket.address().port, close: once(() => socket.close()) };
  }
  const listener = new WildcardListener(options, events);
  await listener.open();
  return listener;
}

class WildcardListener implements UdpListener {
  port: number;
  readonly #options: UdpListenerOptions;
  readonly #events: UdpListenerEvents;
  /** By address. */
  readonly #sockets = new Map<string, Socket>();
  /** Addresses that could not be bound, told once. */
  readonly #refused = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: UdpListenerOptions, events: UdpListenerEvents) {
    this.port = options.port;
    this.#options = options;
    this.#events = events;
  }

  async open(): Promise<void> {
    const failure = await this.#scan();
    const { host, port } = this.#options;
    if (this.#sockets.size === 0)
      throw failure ?? listenFailed(onRampClients, host, port, 'no address of this machine');
    this.#timer = setInterval(() => void this.#scan(), rescanMs);
    this.#timer.unref();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }

  /** Binds what is new and closes what is gone. Never rejects; resolves to the first failure, if there was one. */
  async #scan(): Promise<unknown> {
    const { host, logger } = this.#options;
    let addresses: ReadonlySet<string>;
    try {
      addresses = new Set((this.#options.addresses ?? machineAddresses)().filter(address => isOf(host, address)));
    } catch (error) {
      // Without descriptors the system does not tell: what is bound stays, and the next look tries again.
      logger.debug({ error: describeError(error) }, 'The addresses of this machine cannot be read now');
      return error;
    }
    for (const [address, socket] of this.#sockets) {
      if (addresses.has(address)) continue;
      this.#sockets.delete(address);
      socket.close();
    }
    let failure: unknown;
    for (const address of addresses) {
      if (this.#closed || this.#sockets.has(address)) continue;
      try {
        const socket = await bind(address, this.port);
        if (this.#closed) {
          socket.close();
          return undefined;
        }
        this.port = socket.address().port;
        this.#sockets.set(address, serve(socket, this.#events));
        this.#refused.delete(address);
      } catch (error) {
        failure ??= error;
        if (this.#refused.has(address)) continue;
        this.#refused.add(address);
        logger.warn({ address, port: this.port, error: describeError(error) }, 'Cannot listen on an address over UDP');
      }
    }
    return failure;
  }
}

function serve(socket: Socket, events: UdpListenerEvents): Socket {
  const sent = (error: Error | null): void => {
    if (error !== null) events.lost();
  };
  socket.on('message', (message, { address, port }) =>
    events.message(message, {
      address,
      port,
      reply: answer => {
        if (socket.getSendQueueCount() >= sendQueueLimit) return false;
        socket.send(answer, port, address, sent);
        return true;
      },
    }),
  );
  // About single answers whose client has gone.
  socket.on('error', events.lost);
  return socket;
}

async function bind(host: string, port: number): Promise<Socket> {
  try {
    return await openBoundSocket(host, port);
  } catch (error) {
    throw listenFailed(onRampClients, host, port, error);
  }
}

/** Addresses of the interfaces; link-local ones with their scope. */
function machineAddresses(): string[] {
  return Object.entries(networkInterfaces()).flatMap(([name, entries = []]) =>
    entries.map(({ address }) => (/^fe80:/i.test(address) ? `${address}%${name}` : address)),
  );
}

/** `0.0.0.0` stands for IPv4 addresses, `::` for all, as for TCP. */
function isOf(wildcard: string, address: string): boolean {
  return wildcard === '::' || parseIp(address)?.length === 4;
}

function once(run: () => void): () => void {
  let ran = false;
  return () => {
    if (!ran) run();
    ran = true;
  };
}
