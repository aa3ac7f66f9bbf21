// One QUIC connection: opens and receives streams and datagrams, and tells how it ended. Owned by its endpoint, which
// feeds it the engine's events; whoever got it closes it.

import { PosternError } from '../errors/error.ts';
import type { NativeEndpoint } from './native.ts';
import { type PathDetails, readPathDetails } from './path-details.ts';
import { QuicStream, type ReadSlab, type StreamOwner } from './stream.ts';

/**
 * How a connection ended: `local` closed by us, `application` closed by the peer, `transport` refused by the peer's QUIC
 * or TLS, `idle` nothing came for the idle timeout, `violation` our side found the peer's packets or certificate wrong,
 * `reset` the peer forgot the connection, `version` no QUIC version in common, `other`.
 */
export type EndKind = 'local' | 'application' | 'transport' | 'idle' | 'violation' | 'reset' | 'version' | 'other';

export interface ConnectionEnding {
  readonly kind: EndKind;
  /** Application code for `local` and `application`, transport error code (RFC 9000 §20.1) for `transport` and `violation`. */
  readonly code: number;
  readonly reason: string;
}

/** Numbers of the native CLOSED event. */
const endKinds: readonly EndKind[] = [
  'other',
  'application',
  'transport',
  'idle',
  'violation',
  'reset',
  'version',
  'other',
];

/** From the numbers of the engine's CLOSED record. */
export function endingOf(kind: number, code: number, reason: string): ConnectionEnding {
  return { kind: endKinds[kind] ?? 'other', code, reason };
}

/** Transport error codes 0x100–0x1ff carry a TLS alert. */
function isTlsFailure(ending: ConnectionEnding): boolean {
  return (ending.kind === 'transport' || ending.kind === 'violation') && ending.code >= 0x100 && ending.code <= 0x1ff;
}

/** The error that streams and waiting calls get. Codes: connection.closed (on purpose), tls.failed, connection.lost. */
export function endingError(ending: ConnectionEnding): PosternError {
  const details = { kind: ending.kind, code: ending.code };
  const reason = ending.reason === '' ? '' : `: ${ending.reason}`;
  if (ending.kind === 'local' || ending.kind === 'application') {
    const who = ending.kind === 'local' ? 'here' : 'by the peer';
    return new PosternError(
      'connection.closed',
      `The QUIC connection was closed ${who} with code ${ending.code}${reason}`,
      { details },
    );
  }
  if (isTlsFailure(ending))
    return new PosternError('tls.failed', `The QUIC handshake failed in TLS${reason}`, { details });
  const what =
    ending.kind === 'idle'
      ? 'Nothing came from the peer for the idle timeout'
      : `The QUIC connection failed (${ending.kind})${reason}`;
  return new PosternError('connection.lost', what, { details });
}

/** What the user of a connection receives. Methods must not throw. */
export interface ConnectionHandler {
  /** The peer opened a stream; data may be there already. */
  onStream(stream: QuicStream): void;
  /** The view is valid during the call. */
  onDatagram(datagram: Uint8Array): void;
  /** Called once, after all streams were told. */
  onClosed(ending: ConnectionEnding): void;
}

export interface PathStats {
  readonly rttMs: number;
  readonly minRttMs: number;
  readonly congestionWindow: number;
  readonly mtu: number;
  readonly sentPackets: number;
  readonly lostPackets: number;
  readonly congestionEvents: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly sentUdpDatagrams: number;
  readonly receivedUdpDatagrams: number;
  /** Streams whose sent data is not acknowledged to the end. */
  readonly unacknowledgedStreams: number;
  /** DATAGRAM frames that came and were not delivered: the buffer was full. */
  readonly undeliveredDatagrams: number;
  readonly blackHoles: number;
}

/** Result of `sendDatagram`. */
export type DatagramResult = 'queued' | 'full' | 'too-large' | 'closed';

/** Streams that may wait for the peer's allowance; beyond that the peer is not keeping up and opening fails. */
const maxWaitingStreams = 16_384;
/** Datagrams are read in batches of this many bytes; any single one fits. */
const datagramBuffer = new Uint8Array(128 * 1024);

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: PosternError) => void;
}

/** Made by its endpoint only: `connect` there, or the accept handler. */
export class QuicConnection implements StreamOwner {
  readonly native: NativeEndpoint;
  readonly handle: number;
  readonly slab: ReadSlab;
  /** Negotiated in the handshake. */
  alpn = '';
  group = '';
  /** Name the client asked for; empty on the client's side. */
  serverName = '';
  handler: ConnectionHandler | undefined;
  ending: ConnectionEnding | undefined;
  #streams = new Map<number, QuicStream>();
  readonly #waiting = new Set<QuicStream>();
  #flushWaiters: Waiter[] = [];
  #pingWaiters: Waiter[] = [];
  /** Streams that came before there was a handler. */
  #early: QuicStream[] = [];
  #expected: QuicStream | undefined;

  /** For endpoints only. */
  constructor(native: NativeEndpoint, handle: number, slab: ReadSlab) {
    this.native = native;
    this.handle = handle;
    this.slab = slab;
  }

  /** `IP:port` of the peer now; it may move (NAT rebinding). Empty when gone. */
  get remoteAddress(): string {
    return this.native.remoteAddress(this.handle);
  }

  /** `IP:port` of our end; the IP is known once a packet came. Empty when gone. */
  get localAddress(): string {
    return this.native.localAddress(this.handle);
  }

  get openStreams(): number {
    return this.#streams.size + this.#waiting.size;
  }

  /** Starts delivery; streams that came earlier are delivered now. */
  serve(handler: ConnectionHandler): void {
    this.handler = handler;
    const early = this.#early;
    this.#early = [];
    for (const stream of early) handler.onStream(stream);
    this.#deliverDatagrams();
  }

  /**
   * Opens a bidirectional stream. Where the peer allows no more at the moment it waits for its turn: writes are not
   * taken until `onWritable`.
   * @throws PosternError as `endingError` when the connection is over, 'flow.limit' when too many wait already.
   */
  openStream(): QuicStream {
    if (this.ending !== undefined) throw endingError(this.ending);
    const id = this.#waiting.size > 0 ? -1 : this.native.openStream(this.handle);
    const stream = new QuicStream(this, id < 0 ? -1 : id);
    if (id >= 0) {
      this.#streams.set(id, stream);
      return stream;
    }
    if (this.#waiting.size >= maxWaitingStreams) {
      throw new PosternError('flow.limit', `${maxWaitingStreams} streams wait for the peer to allow them`);
    }
    this.#waiting.add(stream);
    return stream;
  }

  /**
   * The first stream that the peer will open, as one that waits: it carries nothing until the peer's first bytes came.
   * Call before `serve`, once; the handler does not get that stream.
   */
  expectStream(): QuicStream {
    const early = this.#early.shift();
    if (early !== undefined) return early;
    this.#expected = new QuicStream(this, -1);
    return this.#expected;
  }

  /** Copies the first `length` bytes and queues them as one datagram; never waits. */
  sendDatagram(datagram: Uint8Array, length = datagram.length): DatagramResult {
    if (this.ending !== undefined) return 'closed';
    const result = this.native.sendDatagram(this.handle, datagram, length);
    if (result === 1) return 'queued';
    if (result === 0) return 'full';
    return result === -1 ? 'too-large' : 'closed';
  }

  /** Largest datagram that fits now; 0 when the peer takes none. Changes with path MTU discovery. */
  get maxDatagramBytes(): number {
    return this.native.maxDatagram(this.handle);
  }

  /** Figures of the path; undefined when the connection is gone. */
  stats(): PathStats | undefined {
    if (this.native.stats(this.handle) === 0) return undefined;
    const at = (index: number): number => this.native.memory[index] ?? 0;
    return {
      rttMs: at(0),
      minRttMs: at(1),
      congestionWindow: at(2),
      mtu: at(3),
      sentPackets: at(4),
      lostPackets: at(5),
      congestionEvents: at(6),
      sentBytes: at(7),
      receivedBytes: at(8),
      sentUdpDatagrams: at(9),
      receivedUdpDatagrams: at(10),
      unacknowledgedStreams: at(11),
      undeliveredDatagrams: Math.max(0, at(12) - at(13)),
      blackHoles: at(14),
    };
  }

  /** For a scrape; undefined when the connection is gone. */
  pathDetails(): PathDetails | undefined {
    return this.native.pathDetails(this.handle) === 0 ? undefined : readPathDetails(this.native.memory);
  }

  /**
   * Settles when the sending side of every stream that was ended is acknowledged; streams still open do not count.
   * Rejects when the connection ends first.
   */
  flushed(): Promise<void> {
    return this.#wait(this.#flushWaiters, () => {
      let open = 0;
      for (const stream of this.#streams.values()) open += stream.sending ? 1 : 0;
      this.native.notifyFlushed(this.handle, open);
    });
  }

  /** Settles when the next acknowledgement comes; something to be acknowledged is sent with the call; rejects when the connection ends first. */
  ping(): Promise<void> {
    return this.#wait(this.#pingWaiters, () => this.native.ping(this.handle));
  }

  #wait(list: Waiter[], start: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.ending !== undefined) return reject(endingError(this.ending));
      list.push({ resolve, reject });
      if (list.length === 1) start();
    });
  }

  /** Ends the connection now: streams are lost, data not yet acknowledged may be. Idempotent. */
  close(code: number, reason: string): void {
    if (this.ending !== undefined) return;
    this.native.close(this.handle, code, reason);
    this.ended({ kind: 'local', code, reason });
  }

  // What follows is for the endpoint and the streams.

  streamOver(stream: QuicStream): void {
    if (stream.id >= 0) this.#streams.delete(stream.id);
    else this.#waiting.delete(stream);
  }

  opened(id: number): void {
    const expected = this.#expected;
    if (expected !== undefined) {
      this.#expected = undefined;
      this.#streams.set(id, expected);
      expected.opened(id);
      expected.listener?.onReadable();
      return;
    }
    const stream = new QuicStream(this, id);
    this.#streams.set(id, stream);
    if (this.handler === undefined) this.#early.push(stream);
    else this.handler.onStream(stream);
  }

  readable(id: number): void {
    this.#streams.get(id)?.listener?.onReadable();
  }

  writable(id: number): void {
    this.#streams.get(id)?.listener?.onWritable();
  }

  stopped(id: number, code: number): void {
    this.#streams.get(id)?.peerStopped(code);
  }

  streamsAvailable(): void {
    for (const stream of this.#waiting) {
      const id = this.native.openStream(this.handle);
      if (id < 0) return;
      this.#waiting.delete(stream);
      this.#streams.set(id, stream);
      stream.opened(id);
    }
  }

  datagrams(): void {
    if (this.handler !== undefined) this.#deliverDatagrams();
  }

  #deliverDatagrams(): void {
    for (;;) {
      const filled = this.native.readDatagrams(this.handle, datagramBuffer);
      if (filled <= 0) return;
      for (let at = 0; at < filled; ) {
        const start = at + 2;
        at = start + (datagramBuffer[at] ?? 0) + (datagramBuffer[at + 1] ?? 0) * 256;
        this.handler?.onDatagram(datagramBuffer.subarray(start, at));
      }
    }
  }

  flushedNow(): void {
    for (const waiter of this.#flushWaiters.splice(0)) waiter.resolve();
  }

  pong(): void {
    for (const waiter of this.#pingWaiters.splice(0)) waiter.resolve();
  }

  ended(ending: ConnectionEnding): void {
    if (this.ending !== undefined) return;
    this.ending = ending;
    const error = endingError(ending);
    const streams = [...this.#streams.values(), ...this.#waiting];
    if (this.#expected !== undefined) streams.push(this.#expected);
    this.#expected = undefined;
    this.#streams.clear();
    this.#waiting.clear();
    this.#early = [];
    for (const stream of streams) stream.connectionLost(error);
    for (const waiter of [...this.#flushWaiters.splice(0), ...this.#pingWaiters.splice(0)]) waiter.reject(error);
    this.handler?.onClosed(ending);
  }
}
