// Echo on Linux: an unprivileged ping socket a flow (the kernel chooses the echo id and matches replies), or one raw
// socket with our own NAT where only CAP_NET_RAW is held. Source: spec datagrams §7.3; Linux icmp(7), raw(7).

import { randomInt } from 'node:crypto';
import type { IpBytes } from '../net/ip.ts';
import {
  bindFd,
  createIcmpFd,
  encodeSocketAddress,
  errno,
  type LibC,
  linuxAbi,
  messageDontWait,
  type PollHandle,
  socketType,
} from '../net/libc.ts';
import { icmpHeaderBytes, icmpType } from '../net/packet-icmp.ts';
import { DgramIcmpSocket } from './dgram-icmp-socket.ts';
import type { EchoFlow, EchoPlatform, EchoReplyHandler, IcmpSocket } from './echo-platform.ts';
import { SharedEcho } from './shared-echo.ts';
import type { EchoSource } from './source-address.ts';

/** Opens the best platform for a family; otherwise the system's reason, and whether a permission is what lacks. */
export function openLinuxEcho(
  libc: LibC,
  family: 4 | 6,
  source: EchoSource,
): EchoPlatform | { readonly reason: string; readonly denied: boolean } {
  const ping = createIcmpFd(libc, linuxAbi, family, socketType.datagram);
  if ('fd' in ping) {
    libc.close(ping.fd);
    return new PingSockets(libc, family, source);
  }
  const raw = createIcmpFd(libc, linuxAbi, family, socketType.raw);
  if ('errno' in raw) {
    const denied = raw.errno === errno.EPERM || raw.errno === errno.EACCES;
    return { reason: libc.strerror(denied ? ping.errno : raw.errno), denied };
  }
  const bound = source.given ? bindFd(libc, linuxAbi, raw.fd, source.address, source.scope) : 0;
  if (bound !== 0) {
    libc.close(raw.fd);
    return { reason: libc.strerror(bound), denied: false };
  }
  return new SharedEcho('one raw socket', family, new LinuxRawSocket(libc, raw.fd, family), randomInt(0x1_0000));
}

/** One kernel socket a flow. */
class PingSockets implements EchoPlatform {
  readonly name = 'ping sockets';
  readonly #libc: LibC;
  readonly #family: 4 | 6;
  readonly #source: EchoSource;

  constructor(libc: LibC, family: 4 | 6, source: EchoSource) {
    this.#libc = libc;
    this.#family = family;
    this.#source = source;
  }

  openFlow(destination: IpBytes, reply: EchoReplyHandler): EchoFlow | undefined {
    const libc = this.#libc;
    const opened = createIcmpFd(libc, linuxAbi, this.#family, socketType.datagram);
    if ('errno' in opened) return undefined;
    const { given, address, scope } = this.#source;
    if (given && bindFd(libc, linuxAbi, opened.fd, address, scope) !== 0) {
      libc.close(opened.fd);
      return undefined;
    }
    let socket: DgramIcmpSocket;
    try {
      socket = new DgramIcmpSocket(opened.fd, this.#family);
    } catch {
      // Out of memory or handles: the same to the flow as a refused descriptor.
      libc.close(opened.fd);
      return undefined;
    }
    const echoReply = icmpType[this.#family].echoReply;
    socket.receive((from, message) => {
      // The kernel passes only replies with this socket's id, without IP header, checksum verified.
      if (message.length < icmpHeaderBytes || message[0] !== echoReply) return;
      reply(from, ((message[6] ?? 0) << 8) | (message[7] ?? 0), message.subarray(icmpHeaderBytes));
    });
    return {
      // Id and checksum are overwritten by the kernel.
      request: message => socket.send(destination, message),
      close: () => socket.close(),
    };
  }

  close(): void {
    // Flows own their sockets; nothing is shared.
  }
}

const icmpFilter = { level: 255, name: 1 } as const;
const icmp6Filter = { level: 58, name: 1 } as const;
/** Messages read a turn of the event loop: what Node reads from its own UDP sockets, so that nothing else starves. */
const readsPerTurn = 32;
/** Larger replies than a packet may hold are cut, and then fail their checksum or do not fit. */
const bufferBytes = 2048;

/** A raw ICMP socket, watched through libuv by koffi. */
class LinuxRawSocket implements IcmpSocket {
  readonly #libc: LibC;
  readonly #fd: number;
  readonly #family: 4 | 6;
  readonly #buffer = new Uint8Array(bufferBytes);
  readonly #name = new Uint8Array(28);
  readonly #nameLength = new Uint8Array(4);
  /** Must be held: a watcher that is collected stops without a word. */
  readonly #poll: PollHandle;
  #handler: ((from: IpBytes, message: Uint8Array) => void) | undefined;
  #scheduled = false;
  #open = true;

  constructor(libc: LibC, fd: number, family: 4 | 6) {
    this.#libc = libc;
    this.#fd = fd;
    this.#family = family;
    this.#setFilter();
    this.#poll = libc.poll(fd, status => this.#readable(status));
    this.#poll.unref();
  }

  send(destination: IpBytes, message: Uint8Array): boolean {
    if (!this.#open) return false;
    const to = encodeSocketAddress(linuxAbi, destination, 0, 0);
    // A raw socket reports an error of an earlier packet on the next send, once: try again then.
    for (let attempt = 0; attempt < 2; attempt += 1) {
      if (this.#libc.sendto(this.#fd, message, message.length, messageDontWait, to, to.length) >= 0) return true;
      if (this.#libc.errno() === errno.EAGAIN) return false;
    }
    return false;
  }

  receive(handler: (from: IpBytes, message: Uint8Array) => void): void {
    this.#handler = handler;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#poll.close();
    this.#libc.close(this.#fd);
  }

  /** Only echo replies reach us. Set bits are types that the kernel keeps away. */
  #setFilter(): void {
    const filter = new Uint8Array(this.#family === 4 ? 4 : 32).fill(0xff);
    const { echoReply } = icmpType[this.#family];
    const at = echoReply >> 3;
    filter[at] = (filter[at] ?? 0) & ~(1 << (echoReply & 7));
    const { level, name } = this.#family === 4 ? icmpFilter : icmp6Filter;
    // Without the filter everything still works: the NAT looks at each message's type itself.
    this.#libc.setsockopt(this.#fd, level, name, filter, filter.length);
  }

  /** Runs outside any callback scope of Node, so that it only schedules; an exception here would stop the watcher. */
  #readable(status: number): void {
    if (this.#scheduled || !this.#open) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (!this.#open) return;
      // After an error the watcher has stopped; reading takes the error off the socket.
      if (status < 0) this.#poll.start({ readable: true }, next => this.#readable(next));
      this.#drain();
    });
  }

  #drain(): void {
    const buffer = this.#buffer;
    const name = this.#name;
    for (let count = 0; count < readsPerTurn && this.#open; count += 1) {
      this.#nameLength[0] = this.#name.length;
      const length = this.#libc.recvfrom(this.#fd, buffer, buffer.length, messageDontWait, name, this.#nameLength);
      if (length < 0) return;
      const from = this.#family === 4 ? name.slice(4, 8) : name.slice(8, 24);
      this.#handler?.(from, buffer.subarray(0, length));
    }
  }
}
