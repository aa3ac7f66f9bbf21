// An ICMP socket of Linux, ping or raw, watched through libuv by koffi and read by recvmmsg: Node's UDP handle on the same
// descriptor takes more CPU time, and keeps the TTL to itself. Sources: icmp(7), raw(7).

import type { IpBytes } from '../net/address/ip.ts';
import {
  encodeSocketAddress,
  errno,
  type LibC,
  linuxAbi,
  messageDontWait,
  type PollHandle,
} from '../net/linux/libc.ts';
import { icmpType } from '../net/packet/packet-icmp.ts';
import type { IcmpSocket } from './echo-platform.ts';
import { askForTtl, type IcmpMessageHandler, LinuxIcmpReader } from './linux-icmp-reader.ts';

const icmpFilter = { level: 255, name: 1 } as const;
const icmp6Filter = { level: 58, name: 1 } as const;

export class LinuxIcmpSocket implements IcmpSocket {
  readonly #libc: LibC;
  readonly #fd: number;
  readonly #family: 4 | 6;
  /** Must be held: a watcher that is collected stops without a word. */
  readonly #poll: PollHandle;
  #handler: IcmpMessageHandler | undefined;
  #scheduled = false;
  #open = true;

  /** Takes over `fd`, a non-blocking ICMP socket of either type. */
  constructor(libc: LibC, fd: number, family: 4 | 6) {
    this.#libc = libc;
    this.#fd = fd;
    this.#family = family;
    askForTtl(libc, fd, family);
    this.#poll = libc.poll(fd, status => this.#readable(status));
    this.#poll.unref();
  }

  send(destination: IpBytes, message: Uint8Array): boolean {
    if (!this.#open) return false;
    const to = encodeSocketAddress(linuxAbi, destination, 0, 0);
    // The socket may report an error of an earlier packet on the next send, once: try again then.
    for (let attempt = 0; attempt < 2; attempt += 1) {
      if (this.#libc.sendto(this.#fd, message, message.length, messageDontWait, to, to.length) >= 0) return true;
      if (this.#libc.errno() === errno.EAGAIN) return false;
    }
    return false;
  }

  receive(handler: IcmpMessageHandler): void {
    this.#handler = handler;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#poll.close();
    this.#libc.close(this.#fd);
  }

  /** On a raw socket, lets only echo replies through. Set bits are types that the kernel keeps away. */
  passRepliesOnly(): void {
    const filter = new Uint8Array(this.#family === 4 ? 4 : 32).fill(0xff);
    const { echoReply } = icmpType[this.#family];
    const at = echoReply >> 3;
    filter[at] = (filter[at] ?? 0) & ~(1 << (echoReply & 7));
    const option = this.#family === 4 ? icmpFilter : icmp6Filter;
    // Without the filter everything still works: the NAT looks at each message's type itself.
    this.#libc.setsockopt(this.#fd, option.level, option.name, filter, filter.length);
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
    if (this.#handler === undefined) return;
    LinuxIcmpReader.of(this.#libc).read(this.#fd, this.#family, () => this.#open, this.#handler);
  }
}
