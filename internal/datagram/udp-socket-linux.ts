// UDP sockets on Linux by system calls of our own: many datagrams a call in both directions. Costs about a third of
// Node's sockets per datagram (bench datagram.ts). Sources: udp(7) (UDP_SEGMENT), recvmmsg(2), sendmsg(2), cmsg(3).
//
// Structures of 64-bit little-endian Linux:
//  msghdr (56)    0 name* · 8 name length · 16 iov* · 24 iov count · 32 control* · 40 control length · 48 flags
//  mmsghdr (64)   msghdr · 56 bytes received
//  iovec (16)     0 base* · 8 length
//  cmsghdr        0 length (8) · 8 level (4) · 12 type (4) · 16 data

import type { PosternError } from '../errors/error.ts';
import type { IpBytes } from '../net/ip.ts';
import {
  createConnectedUdpFd,
  errno,
  type LibC,
  linuxAbi,
  messageDontWait,
  type NativeMemory,
  type PollHandle,
} from '../net/libc.ts';
import {
  dialError,
  isPassingError,
  type OpenUdp,
  type SendResult,
  type UdpEvents,
  type UdpSocket,
} from './udp-socket.ts';

/** Makes an opener; all its sockets share one receive and one send area. */
export function createLinuxUdp(libc: LibC): OpenUdp {
  const sends = new SendBatch(libc);
  const receives = new ReceiveArea(libc);
  return (address, port, events) => new LinuxUdpSocket(libc, sends, receives, address, port, events);
}

class LinuxUdpSocket implements UdpSocket {
  readonly fd: number = -1;
  readonly events: UdpEvents;
  readonly #libc: LibC;
  readonly #sends: SendBatch;
  readonly #receives: ReceiveArea;
  readonly #address: IpBytes;
  readonly #port: number;
  /** Must be held: a watcher that is collected stops without a word. */
  readonly #poll: PollHandle | undefined;
  #open = false;

  constructor(libc: LibC, sends: SendBatch, receives: ReceiveArea, address: IpBytes, port: number, events: UdpEvents) {
    this.#libc = libc;
    this.#sends = sends;
    this.#receives = receives;
    this.#address = address;
    this.#port = port;
    this.events = events;
    // Linux connects to port 0 without complaint and sends into the void.
    const opened = port === 0 ? { errno: errno.EINVAL } : createConnectedUdpFd(libc, linuxAbi, address, port);
    if ('errno' in opened) {
      events.failed(this.#error(opened.errno));
      return;
    }
    this.fd = opened.fd;
    this.#open = true;
    this.#poll = libc.poll(opened.fd, status => this.#readable(status));
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
    this.#open = false;
    this.#receives.forget(this);
    this.#poll?.close();
    this.#libc.close(this.fd);
  }

  /** Takes an errno of a call on this socket: ends it unless only one datagram is concerned. */
  failed(code: number, datagrams: number): void {
    if (!this.#open) return;
    const full = code === errno.EAGAIN || code === errno.ENOBUFS;
    if (datagrams > 0) this.events.dropped(full ? 'full' : 'failed', datagrams);
    if (full || isPassingError(nameOf(code))) return;
    const error = this.#error(code);
    this.close();
    this.events.failed(error);
  }

  /** After an error event the watcher has stopped. */
  watchAgain(): void {
    if (this.#open) this.#poll?.start({ readable: true }, status => this.#readable(status));
  }

  /** Runs outside any callback scope of Node: only notes the socket; reading happens in a turn of its own. */
  #readable(status: number): void {
    if (this.#open) this.#receives.schedule(this, status < 0);
  }

  #error(code: number): PosternError {
    return dialError(this.#address, this.#port, new Error(`${this.#libc.strerror(code)} (errno ${code})`));
  }
}

function nameOf(code: number): string | undefined {
  for (const [name, value] of Object.entries(errno)) if (value === code) return name;
  return undefined;
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
class SendBatch {
  readonly #libc: LibC;
  readonly #data: NativeMemory;
  /** msghdr, iovec, control message. */
  readonly #head: NativeMemory;
  #socket: LinuxUdpSocket | undefined;
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
  add(socket: LinuxUdpSocket, payload: Uint8Array): void {
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
  flushOf(socket: LinuxUdpSocket): void {
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

  #sendOneByOne(socket: LinuxUdpSocket, count: number, bytes: number): void {
    for (let index = 0; index < count && socket.isOpen; index += 1) {
      const at = index * this.#segmentBytes;
      const length = Math.min(this.#segmentBytes, bytes - at);
      if (this.#libc.send(socket.fd, this.#data.address + BigInt(at), length, messageDontWait) < 0)
        socket.failed(this.#libc.errno(), 1);
    }
  }
}

/** Datagrams read a call, and one call a socket and turn, so that no socket starves another. */
const readsPerTurn = 32;
/** The recorded peer's read buffer is 1,500 bytes (spec §1); what is longer is cut, and refused for its length then. */
const readBytes = 1500;
const slotBytes = 1536;
const multiHeaderBytes = 64;

/** One area that every socket reads into, and the sockets that have something to read. */
class ReceiveArea {
  readonly #libc: LibC;
  readonly #heads: NativeMemory;
  readonly #data: NativeMemory;
  readonly #views: readonly Buffer[];
  #ready = new Map<LinuxUdpSocket, boolean>();
  #scheduled = false;

  constructor(libc: LibC) {
    this.#libc = libc;
    this.#heads = libc.allocate(readsPerTurn * (multiHeaderBytes + 16));
    this.#data = libc.allocate(readsPerTurn * slotBytes);
    const { address, bytes } = this.#heads;
    for (let index = 0; index < readsPerTurn; index += 1) {
      const headAt = index * multiHeaderBytes;
      const iovAt = readsPerTurn * multiHeaderBytes + index * 16;
      bytes.writeBigUInt64LE(address + BigInt(iovAt), headAt + 16);
      bytes.writeBigUInt64LE(1n, headAt + 24);
      bytes.writeBigUInt64LE(this.#data.address + BigInt(index * slotBytes), iovAt);
      bytes.writeBigUInt64LE(BigInt(readBytes), iovAt + 8);
    }
    this.#views = Array.from({ length: readsPerTurn }, (_, index) =>
      this.#data.bytes.subarray(index * slotBytes, (index + 1) * slotBytes),
    );
  }

  /** Notes that a socket is readable; `stopped` when its watcher has to be started again. */
  schedule(socket: LinuxUdpSocket, stopped: boolean): void {
    this.#ready.set(socket, stopped || this.#ready.get(socket) === true);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#drain());
  }

  forget(socket: LinuxUdpSocket): void {
    this.#ready.delete(socket);
  }

  #drain(): void {
    this.#scheduled = false;
    const ready = this.#ready;
    this.#ready = new Map();
    for (const [socket, stopped] of ready) {
      if (!socket.isOpen) continue;
      this.#read(socket);
      if (stopped) socket.watchAgain();
    }
  }

  #read(socket: LinuxUdpSocket): void {
    const count = this.#libc.recvmmsg(socket.fd, this.#heads.address, readsPerTurn, messageDontWait, null);
    if (count < 0) {
      const code = this.#libc.errno();
      if (code !== errno.EAGAIN && code !== errno.EINTR) socket.failed(code, 0);
      return;
    }
    for (let index = 0; index < count && socket.isOpen; index += 1) {
      const length = this.#heads.bytes.readUInt32LE(index * multiHeaderBytes + messageHeaderBytes);
      const view = this.#views[index];
      if (view !== undefined) socket.events.message(view.subarray(0, length));
    }
  }
}
