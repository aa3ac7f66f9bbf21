// Reads ICMP sockets of Linux, many messages a call, each with its sender and the TTL (hop limit) it arrived with. Sources:
// recvmmsg(2), cmsg(3), ip(7) (IP_RECVTTL), RFC 3542 §6.3 (IPV6_RECVHOPLIMIT).
//
// Structures of 64-bit little-endian Linux:
//  mmsghdr (64)   0 name* · 8 name length · 16 iov* · 24 iovs · 32 control* · 40 control length · 56 bytes received
//  iovec (16)     0 base* · 8 length
//  cmsghdr (16)   0 length · 8 level · 12 type, then the number of 32 bits, padded to 8

import type { IpBytes } from '../net/address/ip.ts';
import { type LibC, messageDontWait, type NativeMemory } from '../net/linux/libc.ts';

/** Messages read a turn of the event loop: what Node reads from its own UDP sockets, so that nothing else starves. */
const readsPerTurn = 32;
/** Longer replies are cut, and then do not fit a packet. */
const dataBytes = 2048;
const headerBytes = 64;
const nameBytes = 32;
const controlBytes = 24;
const at = { nameLength: 8, iov: 16, iovCount: 24, control: 32, controlLength: 40, received: 56 } as const;

/** The option that asks for it, and the control message that tells it. */
const hopLimit = {
  4: { level: 0, option: 12, type: 2 },
  6: { level: 41, option: 51, type: 52 },
} as const;

/** The view of `message` is valid only during the call; `from` may be kept. `ttl`: undefined where the kernel does not tell. */
export type IcmpMessageHandler = (from: IpBytes, message: Uint8Array, ttl: number | undefined) => void;

/** Asks for the TTL with what is received. Without it everything else works. */
export function askForTtl(libc: LibC, fd: number, family: 4 | 6): void {
  const { level, option } = hopLimit[family];
  libc.setsockopt(fd, level, option, Uint8Array.of(1, 0, 0, 0), 4);
}

/** Where the parts of a message are in the area. */
interface Places {
  readonly header: number;
  readonly name: number;
  readonly control: number;
  readonly data: number;
}

/** One area that every socket reads into: handlers run within the read. */
export class LinuxIcmpReader {
  readonly #libc: LibC;
  readonly #area: NativeMemory;
  readonly #places: readonly Places[];

  private constructor(libc: LibC) {
    this.#libc = libc;
    this.#area = libc.allocate(readsPerTurn * (headerBytes + 16 + nameBytes + controlBytes + dataBytes));
    const { address, bytes } = this.#area;
    const iovs = readsPerTurn * headerBytes;
    const names = iovs + readsPerTurn * 16;
    const controls = names + readsPerTurn * nameBytes;
    const datas = controls + readsPerTurn * controlBytes;
    this.#places = Array.from({ length: readsPerTurn }, (_, index) => ({
      header: index * headerBytes,
      name: names + index * nameBytes,
      control: controls + index * controlBytes,
      data: datas + index * dataBytes,
    }));
    for (const [index, { header, name, control, data }] of this.#places.entries()) {
      const iov = iovs + index * 16;
      bytes.writeBigUInt64LE(address + BigInt(name), header);
      bytes.writeBigUInt64LE(address + BigInt(iov), header + at.iov);
      bytes.writeBigUInt64LE(1n, header + at.iovCount);
      bytes.writeBigUInt64LE(address + BigInt(control), header + at.control);
      bytes.writeBigUInt64LE(address + BigInt(data), iov);
      bytes.writeBigUInt64LE(BigInt(dataBytes), iov + 8);
      this.#offerRoom(header);
    }
  }

  static #shared: LinuxIcmpReader | undefined;

  /** The one of this process, made on first use: native memory is never freed. */
  static of(libc: LibC): LinuxIcmpReader {
    LinuxIcmpReader.#shared ??= new LinuxIcmpReader(libc);
    return LinuxIcmpReader.#shared;
  }

  /** Gives what waits at a socket, as long as it `isOpen`, up to the bound of a turn. */
  read(fd: number, family: 4 | 6, isOpen: () => boolean, handler: IcmpMessageHandler): void {
    const { address, bytes } = this.#area;
    const count = this.#libc.recvmmsg(fd, address, readsPerTurn, messageDontWait, null);
    for (let index = 0; index < count; index += 1) {
      const { header, name, control, data } = this.#places[index] as Places;
      const length = bytes.readUInt32LE(header + at.received);
      const ttl = bytes.readUInt32LE(header + at.controlLength) === 0 ? undefined : ttlOf(bytes, control, family);
      this.#offerRoom(header);
      if (!isOpen()) continue;
      const from = bytes.subarray(name + (family === 4 ? 4 : 8), name + (family === 4 ? 8 : 24));
      handler(new Uint8Array(from), bytes.subarray(data, data + length), ttl);
    }
  }

  /** The kernel writes what it used of both. */
  #offerRoom(header: number): void {
    this.#area.bytes.writeUInt32LE(nameBytes, header + at.nameLength);
    this.#area.bytes.writeUInt32LE(controlBytes, header + at.controlLength);
  }
}

function ttlOf(bytes: Buffer, control: number, family: 4 | 6): number | undefined {
  const { level, type } = hopLimit[family];
  const isTtl = bytes.readInt32LE(control + 8) === level && bytes.readInt32LE(control + 12) === type;
  return isTtl ? bytes.readUInt8(control + 16) : undefined;
}
