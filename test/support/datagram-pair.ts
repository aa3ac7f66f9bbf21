// Two ends of an in-memory datagram channel that keeps the contract of DatagramChannel: bounded queues that drop and
// count, a size limit that may change, delivery in a later turn, views that are overwritten after the call. They are
// Buffers, as the QUIC transport's are: their `slice` is a view and not a copy.

import type { DatagramChannel } from '../../internal/transport/transport.ts';

export interface DatagramPairOptions {
  /** Largest datagram; 1350 as on a path that discovery has raised. */
  readonly maxBytes?: number;
  /** Datagrams waiting at the receiver before more are dropped. */
  readonly queueLimit?: number;
  /** Called for each datagram sent; true loses it on the way. */
  readonly lose?: (datagram: Uint8Array) => boolean;
}

export class MemoryDatagramChannel implements DatagramChannel {
  readonly dropped = { tooLarge: 0, queueFull: 0, receiveOverflow: 0 };
  maxBytes: number;
  /** All datagrams that were sent and not refused, for tests that look at the wire. */
  sent = 0;
  peer: MemoryDatagramChannel | undefined;
  readonly #queueLimit: number;
  readonly #lose: (datagram: Uint8Array) => boolean;
  readonly #queue: Uint8Array[] = [];
  #scheduled = false;
  #handler: ((datagram: Uint8Array) => void) | undefined;

  constructor(options: DatagramPairOptions) {
    this.maxBytes = options.maxBytes ?? 1350;
    this.#queueLimit = options.queueLimit ?? 4096;
    this.#lose = options.lose ?? (() => false);
  }

  send(buffer: Uint8Array, length = buffer.length): boolean {
    const datagram = buffer.subarray(0, length);
    if (length > this.maxBytes) {
      this.dropped.tooLarge += 1;
      return false;
    }
    this.sent += 1;
    if (!this.#lose(datagram)) this.peer?.deliver(Buffer.from(datagram));
    return true;
  }

  receive(handler: (datagram: Uint8Array) => void): void {
    this.#handler = handler;
    this.#schedule();
  }

  deliver(copy: Uint8Array): void {
    if (this.#queue.length >= this.#queueLimit) {
      this.dropped.receiveOverflow += 1;
      return;
    }
    this.#queue.push(copy);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#handler === undefined || this.#queue.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      for (const datagram of this.#queue.splice(0)) {
        this.#handler?.(datagram);
        // Whoever kept the view instead of a copy sees garbage.
        datagram.fill(0xee);
      }
    });
  }
}

/** A connected pair: what one end sends the other receives. */
export function createDatagramPair(options: DatagramPairOptions = {}): {
  readonly connector: MemoryDatagramChannel;
  readonly edge: MemoryDatagramChannel;
} {
  const connector = new MemoryDatagramChannel(options);
  const edge = new MemoryDatagramChannel(options);
  connector.peer = edge;
  edge.peer = connector;
  return { connector, edge };
}
