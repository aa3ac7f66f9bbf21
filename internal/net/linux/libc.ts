// The C library's socket calls through koffi, for Linux and macOS: only what ICMP and UDP sockets of ours need, and a call about
// memory. Loaded on first use. Source: Linux and Darwin headers; socket(2), bind(2), connect(2), sendmsg(2), recvmmsg(2), epoll_ctl(2).

import { PosternError } from '../../errors/error.ts';
import type { IpBytes } from '../address/ip.ts';

/** Constants that differ between the two systems. */
export interface SocketAbi {
  readonly inet6: number;
  /** Flags added to the socket type: non-blocking and close-on-exec where the system takes them there. */
  readonly typeFlags: number;
  /** sockaddr begins with a length byte and a family byte instead of a 16-bit family. */
  readonly lengthByte: boolean;
}

export const linuxAbi: SocketAbi = { inet6: 10, typeFlags: 0o4000 | 0o2000000, lengthByte: false };
export const darwinAbi: SocketAbi = { inet6: 30, typeFlags: 0, lengthByte: true };

export const socketType = { datagram: 2, raw: 3 } as const;
/** Linux numbers; EAGAIN is 35 on Darwin, where nothing here looks at it. */
export const errno = {
  EPERM: 1,
  EINTR: 4,
  EIO: 5,
  EAGAIN: 11,
  EACCES: 13,
  EINVAL: 22,
  EMSGSIZE: 90,
  ENOBUFS: 105,
} as const;
/** MSG_DONTWAIT of Linux. */
export const messageDontWait = 0x40;
const inet = 2;
const protocols = { 4: 1, 6: 58 } as const;

/** The calls; all return what C returns, with `errno()` right after a failure. */
export interface LibC {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  connect(fd: number, address: Uint8Array, length: number): number;
  close(fd: number): number;
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number;
  /** `value` and `length` (4 bytes) are written. */
  getsockopt(fd: number, level: number, name: number, value: Uint8Array, length: Uint8Array): number;
  /** `data` and `message` are addresses of native memory. */
  send(fd: number, data: bigint, length: number, flags: number): number;
  sendmsg(fd: number, message: bigint, flags: number): number;
  recvmmsg(fd: number, messages: bigint, count: number, flags: number, timeout: null): number;
  epollCreate(flags: number): number;
  /** `event` is the address of an epoll_event. */
  epollControl(set: number, operation: number, fd: number, event: bigint): number;
  epollWait(set: number, events: bigint, count: number, timeoutMs: number): number;
  sendto(fd: number, data: Uint8Array, length: number, flags: number, to: Uint8Array, toLength: number): number;
  /** `status` is not wanted. */
  waitpid(pid: number, status: null, options: number): number;
  errno(): number;
  strerror(code: number): string;
  /** Memory outside the JavaScript heap, zeroed, never freed: for structures that name addresses. */
  allocate(length: number): NativeMemory;
  /** Calls back whenever the descriptor is readable, until `close`. Keep the handle: a forgotten one stops silently. */
  poll(fd: number, callback: (status: number) => void): PollHandle;
}

export interface NativeMemory {
  readonly address: bigint;
  readonly bytes: Buffer;
}

/** koffi's watcher of one descriptor. */
export interface PollHandle {
  start(options: { readable: true }, callback: (status: number) => void): void;
  close(): void;
  unref(): void;
}

let loaded: Promise<LibC> | undefined;
let trim: (() => unknown) | undefined;

/** Has the C library give back what it holds free, where it is glibc and its calls are loaded anyway; else does nothing. */
export function returnFreeMemory(): void {
  trim?.();
}

/** Loads koffi and the calls once. Rejects 'unavailable' where this build has no koffi binary. */
export function openLibC(): Promise<LibC> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<LibC> {
  try {
    const { default: koffi } = await import('koffi');
    // Symbols of the process itself: the C library is loaded already.
    const library = koffi.load(null);
    // Looked up on Linux alone: a missing symbol would fail the whole load.
    // musl has none, and holds less.
    const symbol = process.platform === 'linux' ? optional(() => library.func('int malloc_trim(size_t)')) : undefined;
    if (symbol !== undefined) trim = () => symbol(0);
    const ofLinux = (signature: string) => (process.platform === 'linux' ? library.func(signature) : () => -1);
    return {
      socket: library.func('int socket(int domain, int type, int protocol)'),
      bind: library.func('int bind(int fd, const uint8_t *addr, uint32_t len)'),
      connect: library.func('int connect(int fd, const uint8_t *addr, uint32_t len)'),
      send: library.func('long send(int fd, void *data, size_t length, int flags)'),
      sendmsg: library.func('long sendmsg(int fd, void *message, int flags)'),
      recvmmsg: ofLinux('int recvmmsg(int fd, void *messages, uint32_t count, int flags, void *timeout)'),
      epollCreate: ofLinux('int epoll_create1(int flags)'),
      epollControl: ofLinux('int epoll_ctl(int set, int operation, int fd, void *event)'),
      epollWait: ofLinux('int epoll_wait(int set, void *events, int count, int timeout)'),
      close: library.func('int close(int fd)'),
      setsockopt: library.func('int setsockopt(int fd, int level, int name, const void *val, uint32_t len)'),
      getsockopt: library.func('int getsockopt(int fd, int level, int name, uint8_t *val, uint8_t *len)'),
      sendto: library.func(
        'long sendto(int fd, const uint8_t *b, size_t n, int flags, const uint8_t *to, uint32_t len)',
      ),
      waitpid: library.func('int waitpid(int pid, void *status, int options)'),
      errno: () => koffi.errno(),
      strerror: library.func('const char *strerror(int code)'),
      allocate: length => {
        const address = koffi.alloc('uint8_t', length) as unknown as bigint;
        const bytes = Buffer.from(koffi.view(address, length));
        bytes.fill(0);
        return { address, bytes };
      },
      // The typings name one argument; the callback gets the status first.
      poll: (fd, callback) =>
        koffi.node.poll(
          fd,
          { readable: true },
          callback as unknown as (event: unknown) => void,
        ) as unknown as PollHandle,
    };
  } catch (error) {
    throw new PosternError('unavailable', 'System calls are not available in this build', { cause: error });
  }
}

/** Undefined for a symbol that is not there. */
function optional<T>(find: () => T): T | undefined {
  try {
    return find();
  } catch {
    return undefined;
  }
}

/** An ICMP socket of one type and family, or the errno that refused it. */
export function createIcmpFd(
  libc: LibC,
  abi: SocketAbi,
  family: 4 | 6,
  type: number,
): { readonly fd: number } | { readonly errno: number } {
  const fd = libc.socket(family === 4 ? inet : abi.inet6, type | abi.typeFlags, protocols[family]);
  return fd < 0 ? { errno: libc.errno() } : { fd };
}

/** A UDP socket connected to one destination, or the errno that refused it. */
export function createConnectedUdpFd(
  libc: LibC,
  abi: SocketAbi,
  address: IpBytes,
  port: number,
): { readonly fd: number } | { readonly errno: number } {
  const fd = libc.socket(address.length === 4 ? inet : abi.inet6, socketType.datagram | abi.typeFlags, 0);
  if (fd < 0) return { errno: libc.errno() };
  const name = encodeSocketAddress(abi, address, port, 0);
  if (libc.connect(fd, name, name.length) >= 0) return { fd };
  const refused = libc.errno();
  libc.close(fd);
  return { errno: refused };
}

/** Binds to an address (port 0); the errno when refused, 0 when done. `scope` is an interface index for fe80::/10. */
export function bindFd(libc: LibC, abi: SocketAbi, fd: number, address: IpBytes, scope: number): number {
  const name = encodeSocketAddress(abi, address, 0, scope);
  return libc.bind(fd, name, name.length) < 0 ? libc.errno() : 0;
}

/** sockaddr_in (16 bytes) or sockaddr_in6 (28 bytes). */
export function encodeSocketAddress(abi: SocketAbi, address: IpBytes, port: number, scope: number): Uint8Array {
  const isIpv4 = address.length === 4;
  const name = new DataView(new ArrayBuffer(isIpv4 ? 16 : 28));
  const family = isIpv4 ? inet : abi.inet6;
  if (abi.lengthByte) {
    name.setUint8(0, name.byteLength);
    name.setUint8(1, family);
  } else name.setUint16(0, family, true);
  name.setUint16(2, port);
  const bytes = new Uint8Array(name.buffer);
  bytes.set(address, isIpv4 ? 4 : 8);
  if (!isIpv4) name.setUint32(24, scope, true);
  return bytes;
}
