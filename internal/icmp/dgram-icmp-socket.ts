// An ICMP datagram socket opened by descriptor and driven by Node's own UDP handle: asynchronous, no thread, no polling
// of ours. For macOS. (On Linux, where it works too, never set IP_RECVERR on such a descriptor: Node ends the process.)

import { createSocket, type Socket } from 'node:dgram';
import { formatIp, type IpBytes, parseIp } from '../net/address/ip.ts';
import type { IcmpSocket } from './echo-platform.ts';

/** Messages waiting in user space before more are dropped; the kernel takes them at once unless its queue is full. */
const queueLimit = 64;
/** ICMP has no ports, but Node wants one. */
const anyPort = 1;

export class DgramIcmpSocket implements IcmpSocket {
  /** Sends that failed after they were taken: no route, not permitted. */
  failedSends = 0;
  readonly #socket: Socket;
  readonly #sent: (error: Error | null) => void;
  #handler: ((from: IpBytes, message: Uint8Array) => void) | undefined;
  /** The last sender's text and bytes: nearly always the one destination. */
  #lastText = '';
  #lastBytes: IpBytes | undefined;
  #open = true;

  /** Takes over `fd`, a non-blocking datagram socket. Throws, with `fd` still open, when Node does not accept it. */
  constructor(fd: number, family: 4 | 6) {
    this.#socket = createSocket({
      type: family === 4 ? 'udp4' : 'udp6',
      lookup: (host, _options, done) => done(null, host, family),
    });
    this.#sent = error => {
      if (error !== null) this.failedSends += 1;
    };
    this.#socket.on('error', () => {
      // An error of one packet, reported late; the socket is not connected, so none of them is about the socket.
      this.failedSends += 1;
    });
    this.#socket.on('message', (message, { address }) => {
      if (!this.#open || this.#handler === undefined) return;
      const from = this.#bytesOf(address);
      if (from !== undefined) this.#handler(from, message);
    });
    this.#socket.bind({ fd });
    this.#socket.unref();
  }

  send(destination: IpBytes, message: Uint8Array): boolean {
    if (!this.#open || this.#socket.getSendQueueCount() >= queueLimit) return false;
    this.#socket.send(Buffer.from(message), anyPort, formatIp(destination), this.#sent);
    return true;
  }

  receive(handler: (from: IpBytes, message: Uint8Array) => void): void {
    this.#handler = handler;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#socket.close();
  }

  #bytesOf(text: string): IpBytes | undefined {
    if (text !== this.#lastText) {
      const percent = text.indexOf('%');
      this.#lastBytes = parseIp(percent < 0 ? text : text.slice(0, percent));
      this.#lastText = text;
    }
    return this.#lastBytes;
  }
}
