// One QUIC stream as the engine sees it: reads and writes that never wait and never queue. A reader that does not read
// leaves the data in the receive window, which stops the sender. `duplex.ts` makes a Node stream of it.
// Source: RFC 9000 §2–4.

import type { NativeEndpoint } from './native.ts';
import { readStatus } from './native.ts';

/** What a stream tells its user. Events only say that a call is worth making now. */
export interface StreamListener {
  /** Bytes, the end or a reset may be there to `read`. */
  onReadable(): void;
  /** A `write` that took less than it was given may take more. */
  onWritable(): void;
  /** The peer wants no more bytes (STOP_SENDING); the sending side is ended with a reset already. */
  onStopped(code: number): void;
  /** The connection is gone and the stream with it. */
  onLost(error: Error): void;
}

/** What a stream needs of its connection. */
export interface StreamOwner {
  readonly native: NativeEndpoint;
  /** Number of the connection. */
  readonly handle: number;
  readonly slab: ReadSlab;
  /** Both sides of the stream are over. */
  streamOver(stream: QuicStream): void;
}

/** Bytes of a slab. Large enough that a bulk reader makes few calls, below malloc's mmap threshold (128 KiB) so that the memory is used again and not faulted in anew. */
const slabBytes = 64 * 1024;
/** A read gets at least this much room. */
const leastRead = 4096;

/** Memory that reads of an endpoint go to: data is read straight into it and handed out as views, without a second copy. */
export class ReadSlab {
  buffer = Buffer.allocUnsafeSlow(slabBytes);
  offset = 0;

  /** Makes room for a read at `offset`. */
  reserve(): void {
    if (slabBytes - this.offset >= leastRead) return;
    this.buffer = Buffer.allocUnsafeSlow(slabBytes);
    this.offset = 0;
  }

  /** The `count` bytes just read. */
  take(count: number): Buffer {
    const view = this.buffer.subarray(this.offset, this.offset + count);
    this.offset += count;
    return view;
  }
}

/** How the receiving side stands: `open`, `ended` after the FIN was read, `reset` by the peer, `stopped` by us, `lost`. */
export type ReadState = 'open' | 'ended' | 'reset' | 'stopped' | 'lost';

/** Number of a stream that waits for the peer to allow it. */
const waitingId = -1;

/** A bidirectional stream. It holds no buffers: the engine does, within the windows. */
export class QuicStream {
  #owner: StreamOwner;
  #id: number;
  listener: StreamListener | undefined;
  readState: ReadState = 'open';
  /** Code of the peer's RESET_STREAM, once `readState` is `reset`. */
  resetCode = 0;
  /** Code of the peer's STOP_SENDING, if one came. */
  stopCode: number | undefined;
  /** Why the connection was lost, if it was. */
  lostError: Error | undefined;
  #sending = true;

  /** For connections only: `id` is -1 while the peer does not allow one more stream. */
  constructor(owner: StreamOwner, id: number) {
    this.#owner = owner;
    this.#id = id;
  }

  /** Stream id of RFC 9000 §2.1; -1 while it waits for the peer's allowance. */
  get id(): number {
    return this.#id;
  }

  /** Whether bytes can still be sent: no FIN, no reset, no STOP_SENDING. */
  get sending(): boolean {
    return this.#sending;
  }

  /**
   * Reads the bytes that are there, at most a slab. The view stays valid: memory is not reused while it is referenced.
   * @returns undefined when none are there now; `readState` says whether more can come.
   */
  read(): Buffer | undefined {
    if (this.readState !== 'open' || this.#id === waitingId) return undefined;
    const { native, handle, slab } = this.#owner;
    slab.reserve();
    const count = native.read(handle, this.#id, slab.buffer, slab.offset);
    const status = native.memory[0];
    const bytes = count > 0 ? slab.take(count) : undefined;
    if (status === readStatus.end) this.#readOver('ended');
    else if (status === readStatus.reset) this.#reset(native.memory[1] ?? 0);
    else if (status === readStatus.gone) this.#readOver('lost');
    return bytes;
  }

  /** Looks for a reset without reading data: for a reader that is paused. */
  checkReset(): boolean {
    if (this.readState !== 'open' || this.#id === waitingId) return this.readState === 'reset';
    const code = this.#owner.native.receivedReset(this.#owner.handle, this.#id);
    if (code < 0) return false;
    this.#reset(code);
    return true;
  }

  /**
   * Hands bytes to the engine, which copies them; with `fin` the stream ends after them.
   * @returns how many were taken; fewer than given: `onWritable` follows, and the FIN is not sent. -1: nothing can be sent
   * any more.
   */
  write(bytes: Uint8Array, fin: boolean): number {
    if (!this.#sending) return -1;
    if (this.#id === waitingId) return 0;
    const { native, handle } = this.#owner;
    const taken = native.write(handle, this.#id, bytes, fin);
    if (taken < 0) {
      this.#sendOver();
      return -1;
    }
    if (fin && taken === bytes.length) this.#sendOver();
    return taken;
  }

  /** Abandons what was not delivered: RESET_STREAM with `code`. Nothing happens after the end. */
  reset(code: number): void {
    if (!this.#sending) return;
    if (this.#id !== waitingId) this.#owner.native.reset(this.#owner.handle, this.#id, code);
    this.#sendOver();
  }

  /** Wants no more bytes: STOP_SENDING with `code`. Nothing happens after the end. */
  stop(code: number): void {
    if (this.readState !== 'open') return;
    if (this.#id !== waitingId) this.#owner.native.stop(this.#owner.handle, this.#id, code);
    this.#readOver('stopped');
  }

  /** For the connection: the peer allows the stream. */
  opened(id: number): void {
    this.#id = id;
    this.listener?.onWritable();
  }

  /** For the connection: STOP_SENDING came. */
  peerStopped(code: number): void {
    this.stopCode = code;
    if (!this.#sending) return;
    this.#sendOver();
    this.listener?.onStopped(code);
  }

  /** For the connection: it is gone. */
  connectionLost(error: Error): void {
    this.#sending = false;
    this.lostError = error;
    if (this.readState === 'open') this.readState = 'lost';
    this.listener?.onLost(error);
  }

  #reset(code: number): void {
    this.resetCode = code;
    this.#readOver('reset');
  }

  #readOver(state: ReadState): void {
    this.readState = state;
    if (!this.#sending) this.#owner.streamOver(this);
  }

  #sendOver(): void {
    this.#sending = false;
    if (this.readState !== 'open') this.#owner.streamOver(this);
  }
}
