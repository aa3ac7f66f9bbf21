// UDP sockets on Linux by system calls of our own: many datagrams a call in both directions, and one watcher for all.
// Costs about a third of Node's sockets per datagram (bench datagram.ts).

import type { PosternError } from '../../errors/error.ts';
import type { IpBytes } from '../../net/address/ip.ts';
import { createConnectedUdpFd, errno, type LibC, linuxAbi } from '../../net/linux/libc.ts';
import { preferRoom, readDrops } from '../../net/linux/receive-buffer.ts';
import { UdpReceiver } from './udp-receive-linux.ts';
import { UdpSendBatch } from './udp-send-linux.ts';
import {
  dialError,
  isPassingError,
  type OpenUdp,
  type SendResult,
  type UdpEvents,
  type UdpSocket,
} from './udp-socket.ts';

/** Makes an opener; all its sockets share one watcher, one receive area and one send area. */
export function createLinuxUdp(libc: LibC): OpenUdp {
  const sends = new UdpSendBatch(libc);
  const receives = new UdpReceiver(libc);
  return (address, port, events) => new LinuxUdpSocket(libc, sends, receives, address, port, events);
}

class LinuxUdpSocket implements UdpSocket {
  readonly fd: number = -1;
  readonly #events: UdpEvents;
  readonly #libc: LibC;
  readonly #sends: UdpSendBatch;
  readonly #receives: UdpReceiver;
  readonly #address: IpBytes;
  readonly #port: number;
  #open = false;
  /** What the kernel dropped that `events` knows of. */
  #overflow = 0;

  constructor(
    libc: LibC,
    sends: UdpSendBatch,
    receives: UdpReceiver,
    address: IpBytes,
    port: number,
    events: UdpEvents,
  ) {
    this.#libc = libc;
    this.#sends = sends;
    this.#receives = receives;
    this.#address = address;
    this.#port = port;
    this.#events = events;
    // Linux connects to port 0 without complaint and sends into the void.
    const opened = port === 0 ? { errno: errno.EINVAL } : createConnectedUdpFd(libc, linuxAbi, address, port);
    if ('errno' in opened) {
      events.failed(this.#error(opened.errno));
      return;
    }
    this.fd = opened.fd;
    preferRoom(libc, opened.fd);
    const unwatched = receives.watch(this);
    if (unwatched !== 0) {
      libc.close(opened.fd);
      events.failed(this.#error(unwatched));
      return;
    }
    this.#open = true;
    events.connected();
  }

  get isOpen(): boolean {
    return this.#open;
  }

  send(payload: Uint8Array): SendResult {
    if (!this.#open) return 'failed';
    this.#sends.add(this, payload);
    return 'sent';
  }

  close(): void {
    if (!this.#open) return;
    // What was taken is sent: a session may answer and end in one turn.
    this.#sends.flushOf(this);
    // What was dropped after the last datagram that was read.
    this.overflowed(readDrops(this.#libc, this.fd));
    this.#open = false;
    this.#receives.forget(this);
    this.#libc.close(this.fd);
  }

  received(payload: Uint8Array): void {
    this.#events.message(payload);
  }

  overflowed(total: number): void {
    if (total > this.#overflow) this.#events.dropped('overflow', total - this.#overflow);
    this.#overflow = total;
  }

  /** Takes an errno of a call on this socket: ends it unless only one datagram is concerned. */
  failed(code: number, datagrams: number): void {
    if (!this.#open) return;
    const full = code === errno.EAGAIN || code === errno.ENOBUFS;
    if (datagrams > 0) this.#events.dropped(full ? 'full' : 'failed', datagrams);
    if (full || isPassingError(nameOf(code))) return;
    const error = this.#error(code);
    this.close();
    this.#events.failed(error);
  }

  #error(code: number): PosternError {
    return dialError(this.#address, this.#port, new Error(`${this.#libc.strerror(code)} (errno ${code})`));
  }
}

function nameOf(code: number): string | undefined {
  for (const [name, value] of Object.entries(errno)) if (value === code) return name;
  return undefined;
}
