// Gathers the pieces that come in one turn of the event loop into one write to a socket: HTTP/2 peers cut what they send into
// frames of 16 KiB, and a system call for each was a third of the CPU samples of an upload.

import type { Socket } from 'node:net';

/** Bytes gathered into one write at most: eight DATA frames. Other sizes were not compared. */
const gatherBytes = 128 * 1024;

export class GatheredWrites {
  readonly #socket: Socket;
  /** The socket is corked by us. */
  #gathering = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Call before writing to the socket: what is written goes out when the turn of the event loop is over. */
  begin(): void {
    if (this.#gathering) return;
    this.#gathering = true;
    this.#socket.cork();
    setImmediate(flush, this);
  }

  /**
   * Call after writing. False when no more should be written before the socket's 'drain', which follows: what the kernel did
   * not take at once is the sign to wait, and this much is above any high-water mark.
   */
  takesMore(): boolean {
    if (this.#socket.writableLength < gatherBytes) return true;
    this.flush();
    return this.#socket.writableLength === 0;
  }

  /** Sends what was gathered. */
  flush(): void {
    if (!this.#gathering) return;
    this.#gathering = false;
    this.#socket.uncork();
  }
}

function flush(writes: GatheredWrites): void {
  writes.flush();
}
