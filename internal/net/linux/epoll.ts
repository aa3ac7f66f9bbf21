// One watcher for many descriptors: an epoll set, which the event loop watches in their stead, so that a turn costs one
// callback however many of them are readable. Linux only. Source: epoll(7), epoll_ctl(2).
//
// epoll_event   0 events (4) · data (8) right behind on x86-64 (12 bytes), aligned elsewhere (16 bytes)

import type { LibC, NativeMemory, PollHandle } from './libc.ts';

const isPacked = process.arch === 'x64';
const eventBytes = isPacked ? 12 : 16;
const dataAt = isPacked ? 4 : 8;
const readableEvent = 1;
const control = { add: 1, delete: 2 } as const;
const closeOnExec = 0o2000000;
/** Descriptors told in one turn. The others stay readable and are told first in the next. */
const eventsPerTurn = 64;

/** Watches as long as it has descriptors; without any it holds no resource and does not keep the process alive. */
export class EpollSet {
  readonly #libc: LibC;
  readonly #onReadable: (fd: number) => void;
  readonly #events: NativeMemory;
  readonly #watched = new Set<number>();
  #set = -1;
  /** Must be held: a watcher that is collected stops without a word. */
  #poll: PollHandle | undefined;
  #scheduled = false;
  readonly #turn = (): void => {
    this.#scheduled = false;
    this.#tell();
  };

  /** `onReadable` is told, level-triggered, in an ordinary turn of the event loop; it must not throw. */
  constructor(libc: LibC, onReadable: (fd: number) => void) {
    this.#libc = libc;
    this.#onReadable = onReadable;
    this.#events = libc.allocate(eventsPerTurn * eventBytes);
  }

  /** Starts watching; 0, or the errno that refused. */
  add(fd: number): number {
    if (this.#set < 0) {
      this.#set = this.#libc.epollCreate(closeOnExec);
      if (this.#set < 0) return this.#libc.errno();
      this.#poll = this.#libc.poll(this.#set, () => this.#schedule());
    }
    this.#events.bytes.writeUInt32LE(readableEvent, 0);
    this.#events.bytes.writeUInt32LE(fd, dataAt);
    if (this.#libc.epollControl(this.#set, control.add, fd, this.#events.address) < 0) {
      const refused = this.#libc.errno();
      this.#closeIfEmpty();
      return refused;
    }
    this.#watched.add(fd);
    return 0;
  }

  /** Stops watching; call before the descriptor is closed. */
  remove(fd: number): void {
    if (!this.#watched.delete(fd)) return;
    this.#libc.epollControl(this.#set, control.delete, fd, this.#events.address);
    this.#closeIfEmpty();
  }

  #closeIfEmpty(): void {
    if (this.#watched.size > 0) return;
    this.#poll?.close();
    this.#poll = undefined;
    this.#libc.close(this.#set);
    this.#set = -1;
  }

  /** Runs outside any callback scope of Node: the work is done in a turn of its own. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#turn);
  }

  #tell(): void {
    if (this.#set < 0) return;
    const count = this.#libc.epollWait(this.#set, this.#events.address, eventsPerTurn, 0);
    const ready: number[] = [];
    // Taken out first: what is told may add descriptors, which writes to the same memory.
    for (let index = 0; index < count; index += 1)
      ready.push(this.#events.bytes.readUInt32LE(index * eventBytes + dataAt));
    for (const fd of ready) if (this.#watched.has(fd)) this.#onReadable(fd);
  }
}
