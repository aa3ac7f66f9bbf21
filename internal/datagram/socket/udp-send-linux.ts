// Sending on Linux: datagrams of one socket in a row leave in one call. Sources: udp(7) (UDP_SEGMENT), sendmsg(2), cmsg(3).
//
// Structures of 64-bit little-endian Linux:
//  msghdr (56)    0 name* · 8 name length · 16 iov* · 24 iov count · 32 control* · 40 control length · 48 flags
//  iovec (16)     0 base* · 8 length
//  cmsghdr        0 length (8) · 8 level (4) · 12 type (4) · 16 data

import { errno, type LibC, messageDontWait, type NativeMemory } from '../../net/linux/libc.ts';

/** What the batch needs of a socket. */
export interface UdpSendSocket {
  readonly fd: number;
  readonly isOpen: boolean;
  /** Takes the errno of a send, and how many datagrams were lost with it. */
  failed(code: number, datagrams: number): void;
}

/** Datagrams of one socket in a row and of one size (the last may be shorter) leave in one call. */
const segmentLimit = 64;
/** The kernel takes 65,507 bytes of payload a call; room for the largest payload stays behind the last start. */
const areaBytes = 65_000;
const messageHeaderBytes = 56;
const controlBytes = 24;
const solUdp = 17;
const udpSegment = 103;

/** The one batch being gathered. It ends with the turn, with another socket's datagram, or with another size. */
export class UdpSendBatch {
  readonly #libc: LibC;
  readonly #data: NativeMemory;
  /** msghdr, iovec, control message. */
  readonly #head: NativeMemory;
  #socket: UdpSendSocket | undefined;
  #segmentBytes = 0;
  #count = 0;
  #bytes = 0;
  #scheduled = false;
  /** Off for good once a device refuses: it cannot compute checksums. */
  #segmentation = true;
  readonly #flush = (): void => {
    this.#scheduled = false;
    this.#send();
  };

  constructor(libc: LibC) {
    this.#libc = libc;
    this.#data = libc.allocate(areaBytes + 2048);
    this.#head = libc.allocate(messageHeaderBytes + 16 + controlBytes);
    const { address, bytes } = this.#head;
    const iovAt = messageHeaderBytes;
    const controlAt = iovAt + 16;
    bytes.writeBigUInt64LE(address + BigInt(iovAt), 16);
    bytes.writeBigUInt64LE(1n, 24);
    bytes.writeBigUInt64LE(address + BigInt(controlAt), 32);
    bytes.writeBigUInt64LE(BigInt(controlBytes), 40);
    bytes.writeBigUInt64LE(this.#data.address, iovAt);
    bytes.writeBigUInt64LE(18n, controlAt);
    bytes.writeInt32LE(solUdp, controlAt + 8);
    bytes.writeInt32LE(udpSegment, controlAt + 12);
  }

  /** Copies `payload` (at most 1280 bytes) into the batch. */
  add(socket: UdpSendSocket, payload: Uint8Array): void {
    const { length } = payload;
    const fits =
      this.#socket === socket &&
      length > 0 &&
      length <= this.#segmentBytes &&
      this.#bytes === this.#segmentBytes * this.#count &&
      this.#count < segmentLimit &&
      this.#bytes + length <= areaBytes &&
      this.#segmentation;
    if (!fits) {
      this.#send();
      this.#socket = socket;
      this.#segmentBytes = length;
    }
    this.#data.bytes.set(payload, this.#bytes);
    this.#bytes += length;
    this.#count += 1;
    if (this.#scheduled) return;
    this.#scheduled = true;
    // Right after the callback that brought the datagrams, before anything else of the event loop.
    process.nextTick(this.#flush);
  }

  /** Sends what is gathered if it is this socket's. */
  flushOf(socket: UdpSendSocket): void {
    if (this.#socket === socket) this.#send();
  }

  #send(): void {
    const socket = this.#socket;
    const count = this.#count;
    const bytes = this.#bytes;
    this.#socket = undefined;
    this.#count = 0;
    this.#bytes = 0;
    if (socket === undefined || count === 0 || !socket.isOpen) return;
    if (count === 1) {
      if (this.#libc.send(socket.fd, this.#data.address, bytes, messageDontWait) < 0)
        socket.failed(this.#libc.errno(), 1);
      return;
    }
    const iovAt = messageHeaderBytes;
    this.#head.bytes.writeBigUInt64LE(BigInt(bytes), iovAt + 8);
    this.#head.bytes.writeUInt16LE(this.#segmentBytes, iovAt + 16 + 16);
    if (this.#libc.sendmsg(socket.fd, this.#head.address, messageDontWait) >= 0) return;
    const code = this.#libc.errno();
    if (code === errno.EAGAIN || code === errno.ENOBUFS) {
      socket.failed(code, count);
      return;
    }
    // EIO: no checksum offload on the way out. EINVAL: a segment exceeds the device's MTU. Anything else is the socket's
    // own error (ECONNREFUSED), which the single sends meet again or which was taken off by this call.
    if (code === errno.EIO) this.#segmentation = false;
    else if (code !== errno.EINVAL && code !== errno.EMSGSIZE) {
      socket.failed(code, count);
      return;
    }
    this.#sendOneByOne(socket, count, bytes);
  }

  #sendOneByOne(socket: UdpSendSocket, count: number, bytes: number): void {
    for (let index = 0; index < count && socket.isOpen; index += 1) {
      const at = index * this.#segmentBytes;
      const length = Math.min(this.#segmentBytes, bytes - at);
      if (this.#libc.send(socket.fd, this.#data.address + BigInt(at), length, messageDontWait) < 0)
        socket.failed(this.#libc.errno(), 1);
    }
  }
}
