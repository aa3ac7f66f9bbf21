// Receiving on Linux: one watcher for all sockets, and calls that read many datagrams of one. Source: recvmmsg(2).
//
// Structures of 64-bit little-endian Linux:
//  mmsghdr (64)   msghdr (see udp-send-linux.ts) · 56 bytes received
//  iovec (16)     0 base* · 8 length
// The first message of a call has room for a control message, behind the iovecs: what the kernel has dropped so far.

import { EpollSet } from '../../net/linux/epoll.ts';
import { errno, type LibC, messageDontWait, type NativeMemory } from '../../net/linux/libc.ts';
import { overflowControlBytes, readOverflow } from '../../net/linux/receive-buffer.ts';

/** What the receiver needs of a socket. */
export interface UdpReceiveSocket {
  readonly fd: number;
  readonly isOpen: boolean;
  /** One datagram; the view is valid only during the call. */
  received(payload: Uint8Array): void;
  /** Takes what the kernel has dropped in all, for want of room. */
  overflowed(total: number): void;
  /** Takes the errno of a read; no datagram of ours was lost with it. */
  failed(code: number, datagrams: number): void;
}

/** Datagrams read a call, and one call a socket and turn, so that no socket starves another. */
const readsPerTurn = 32;
/**
 * cloudflared's read buffer is 1,500 bytes (docs/protocol/datagrams.md §1); what is longer is cut, and refused for its
 * length then.
 */
const readBytes = 1500;
const slotBytes = 1536;
const multiHeaderBytes = 64;
const receivedAt = 56;
const controlLengthAt = 40;

/** One area that every socket reads into. */
export class UdpReceiver {
  readonly #libc: LibC;
  readonly #heads: NativeMemory;
  readonly #control: Buffer;
  readonly #views: readonly Buffer[];
  readonly #sockets = new Map<number, UdpReceiveSocket>();
  readonly #watcher: EpollSet;

  constructor(libc: LibC) {
    this.#libc = libc;
    const controlAt = readsPerTurn * (multiHeaderBytes + 16);
    this.#heads = libc.allocate(controlAt + overflowControlBytes);
    const data = libc.allocate(readsPerTurn * slotBytes);
    const { address, bytes } = this.#heads;
    for (let index = 0; index < readsPerTurn; index += 1) {
      const headAt = index * multiHeaderBytes;
      const iovAt = readsPerTurn * multiHeaderBytes + index * 16;
      bytes.writeBigUInt64LE(address + BigInt(iovAt), headAt + 16);
      bytes.writeBigUInt64LE(1n, headAt + 24);
      bytes.writeBigUInt64LE(data.address + BigInt(index * slotBytes), iovAt);
      bytes.writeBigUInt64LE(BigInt(readBytes), iovAt + 8);
    }
    this.#control = bytes.subarray(controlAt);
    bytes.writeBigUInt64LE(address + BigInt(controlAt), 32);
    this.#views = Array.from({ length: readsPerTurn }, (_, index) =>
      data.bytes.subarray(index * slotBytes, (index + 1) * slotBytes),
    );
    this.#watcher = new EpollSet(libc, fd => this.#readable(fd));
  }

  /** Reads whatever comes for an open socket until `forget`; 0, or the errno that refused. */
  watch(socket: UdpReceiveSocket): number {
    const refused = this.#watcher.add(socket.fd);
    if (refused === 0) this.#sockets.set(socket.fd, socket);
    return refused;
  }

  /** Call before the descriptor is closed. */
  forget(socket: UdpReceiveSocket): void {
    this.#watcher.remove(socket.fd);
    this.#sockets.delete(socket.fd);
  }

  #readable(fd: number): void {
    const socket = this.#sockets.get(fd);
    if (socket === undefined) return;
    // The kernel writes what it used of it.
    this.#heads.bytes.writeUInt32LE(overflowControlBytes, controlLengthAt);
    const count = this.#libc.recvmmsg(fd, this.#heads.address, readsPerTurn, messageDontWait, null);
    if (count < 0) {
      const code = this.#libc.errno();
      if (code !== errno.EAGAIN && code !== errno.EINTR) socket.failed(code, 0);
      return;
    }
    const drops = this.#heads.bytes.readUInt32LE(controlLengthAt) === 0 ? undefined : readOverflow(this.#control);
    if (drops !== undefined) socket.overflowed(drops);
    for (let index = 0; index < count && socket.isOpen; index += 1) {
      const length = this.#heads.bytes.readUInt32LE(index * multiHeaderBytes + receivedAt);
      const view = this.#views[index];
      if (view !== undefined) socket.received(view.subarray(0, length));
    }
  }
}
