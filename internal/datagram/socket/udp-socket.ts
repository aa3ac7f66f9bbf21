// The seam to the operating system's UDP: one connected socket a session. Here its interface and the variant on Node's
// own sockets, which runs everywhere. Source: docs/protocol/datagrams.md §6.

import { createSocket, type Socket } from 'node:dgram';
import { foreignCode, PosternError } from '../../errors/error.ts';
import { formatIpPort } from '../../net/address/host-port.ts';
import { formatIp, type IpBytes } from '../../net/address/ip.ts';
import { receiveBufferBytes } from '../../net/linux/receive-buffer.ts';

/** Told by a socket; none of these may throw. Nothing is told after `close`. */
export interface UdpEvents {
  /** The socket is connected and may send. At most once, perhaps before `OpenUdp` returns. */
  connected(): void;
  /** One datagram from the destination. The view is valid only during the call. */
  message(payload: Uint8Array): void;
  /** Datagrams that `send` had taken were dropped after all, by the system; `overflow`: such from the destination. */
  dropped(why: 'full' | 'failed' | 'overflow', count: number): void;
  /** The socket is broken (no route, refused, …) and has been closed. */
  failed(error: PosternError): void;
}

export type SendResult = 'sent' | 'full' | 'failed';

export interface UdpSocket {
  /** Takes a copy of `payload`, to be sent before this turn of the event loop ends. */
  send(payload: Uint8Array): SendResult;
  /** Idempotent. */
  close(): void;
}

/** Opens a socket that exchanges datagrams with one destination only. Never throws: failures go to `events.failed`. */
export type OpenUdp = (address: IpBytes, port: number, events: UdpEvents) => UdpSocket;

/** Datagrams a socket may have waiting in user space before more are dropped: cloudflared's bound. */
export const queueLimit = 512;

/** Errors that name one datagram, not the socket: the flow lives on. */
const passingErrors: ReadonlySet<string | undefined> = new Set(['EMSGSIZE', 'ENOBUFS', 'EAGAIN', 'EPERM', 'EINTR']);

/** Whether an error of a connected socket concerns one datagram only. */
export function isPassingError(code: string | undefined): boolean {
  return passingErrors.has(code);
}

/** The error of a socket that cannot reach its destination, in the words of docs/protocol/datagrams.md §4.2. */
export function dialError(address: IpBytes, port: number, cause: unknown): PosternError {
  return new PosternError('dial.failed', `unable to dial udp to origin ${formatIpPort(address, port)}`, { cause });
}

/** The variant on node:dgram. */
export const openNodeUdp: OpenUdp = (address, port, events) => new NodeUdpSocket(address, port, events);

class NodeUdpSocket implements UdpSocket {
  readonly #socket: Socket;
  readonly #events: UdpEvents;
  readonly #address: IpBytes;
  readonly #port: number;
  readonly #sent: (error: Error | null) => void;
  #state: 'connecting' | 'open' | 'closed' = 'connecting';

  constructor(address: IpBytes, port: number, events: UdpEvents) {
    this.#events = events;
    this.#address = address;
    this.#port = port;
    this.#sent = error => {
      if (error === null) return;
      if (isPassingError(foreignCode(error))) this.#events.dropped('failed', 1);
      else this.#fail(error);
    };
    const family = address.length === 4 ? 4 : 6;
    // The lookup hands literal addresses through, so that binding and connecting take no thread and no extra turn.
    this.#socket = createSocket({
      type: family === 4 ? 'udp4' : 'udp6',
      recvBufferSize: receiveBufferBytes,
      lookup: (host, _options, done) => done(null, host, family),
    });
    this.#socket.on('error', error => this.#fail(error));
    this.#socket.on('message', payload => {
      if (this.#state === 'open') this.#events.message(payload);
    });
    this.#socket.on('connect', () => {
      if (this.#state !== 'connecting') return;
      this.#state = 'open';
      this.#events.connected();
    });
    try {
      this.#socket.connect(port, formatIp(address));
    } catch (error) {
      // Port 0 throws at once; report it like any other failure, after the caller has its socket.
      process.nextTick(() => this.#fail(error));
    }
  }

  send(payload: Uint8Array): SendResult {
    if (this.#state !== 'open') return 'failed';
    if (this.#socket.getSendQueueCount() >= queueLimit) return 'full';
    // A copy: when the kernel is not ready Node keeps the bytes beyond this call, and the caller's view may change.
    const copy = Buffer.allocUnsafe(payload.length);
    copy.set(payload);
    this.#socket.send(copy, this.#sent);
    return 'sent';
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#socket.close();
  }

  #fail(error: unknown): void {
    if (this.#state === 'closed') return;
    this.close();
    this.#events.failed(dialError(this.#address, this.#port, error));
  }
}
