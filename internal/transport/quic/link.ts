// What both ends of a QUIC connection share: counting request streams, RPC streams, ending in order or at once, and
// saying how it ended. Source: docs/protocol/edge-protocol.md §9.4, §9.5, §11.

import type { Duplex } from 'node:stream';
import { PosternError } from '../../errors/error.ts';
import { type ConnectionEnding, endingError, type QuicConnection } from '../../quic/connection.ts';
import { QuicDuplex } from '../../quic/duplex.ts';
import type { QuicStream } from '../../quic/stream.ts';
import { rpcPreamble } from '../../wire/stream/preamble.ts';
import { OpenStreams } from '../open-streams.ts';
import type { ConnectionEnd, ConnectionStats } from '../transport.ts';
import { QuicDatagrams } from './datagrams.ts';
import { noCode } from './settings.ts';

/** How long the last bytes may take to be acknowledged before a drained connection closes all the same. */
const flushMs = 2_000;

/** Receives the streams that the peer opens. Must not throw. */
export type StreamSink = (stream: QuicStream) => void;

export class QuicLink {
  readonly connection: QuicConnection;
  readonly datagrams: QuicDatagrams;
  readonly closed: Promise<ConnectionEnd>;
  #closed = Promise.withResolvers<ConnectionEnd>();
  readonly #streams = new OpenStreams();
  #draining = false;
  #abortReason: PosternError | undefined;

  constructor(connection: QuicConnection) {
    this.connection = connection;
    this.datagrams = new QuicDatagrams(connection);
    this.closed = this.#closed.promise;
  }

  /** Starts delivery of streams and datagrams. */
  start(sink: StreamSink): void {
    this.connection.serve({
      onStream: sink,
      onDatagram: datagram => this.datagrams.deliver(datagram),
      onClosed: ending => this.#onClosed(ending),
    });
    if (this.connection.ending !== undefined) this.#onClosed(this.connection.ending);
  }

  get openStreams(): number {
    return this.#streams.count;
  }

  get draining(): boolean {
    return this.#draining || this.connection.ending !== undefined;
  }

  get lost(): boolean {
    return this.connection.ending !== undefined;
  }

  /** Counts a request's body until it closes. Errors of bodies show as 'close' without 'end' (the seam's rule). */
  track(body: QuicDuplex): void {
    this.#streams.opened();
    body.on('error', ignore);
    body.once('close', this.#streams.closed);
  }

  openRpc = (): Promise<Duplex> => {
    try {
      const stream = new QuicDuplex(this.connection.openStream(), { onStop: 'reset' });
      stream.on('error', ignore);
      stream.sendHead(rpcPreamble);
      return Promise.resolve(stream);
    } catch (error) {
      return Promise.reject(error);
    }
  };

  stats(): ConnectionStats {
    const stats = this.connection.stats();
    return {
      protocol: 'quic',
      openStreams: this.#streams.count,
      group: this.connection.group === '' ? undefined : this.connection.group,
      rttMs: stats?.rttMs,
      minRttMs: stats?.minRttMs,
      congestionWindow: stats?.congestionWindow,
      lostPackets: stats?.lostPackets,
      sentPackets: stats?.sentPackets,
      mtu: stats?.mtu,
      sentBytes: stats?.sentBytes,
      receivedBytes: stats?.receivedBytes,
    };
  }

  /** Milliseconds until the peer acknowledged something; rejects 'connection.lost' when it did not in time. */
  async ping(timeoutMs: number): Promise<number> {
    const started = performance.now();
    if (await finishesWithin(this.connection.ping(), timeoutMs)) return performance.now() - started;
    throw new PosternError('connection.lost', `The peer did not answer a ping within ${timeoutMs} ms.`);
  }

  /** Waits for running streams, ends `control`, lets the last bytes be acknowledged and closes. */
  async drain(control: Duplex, timeoutMs: number): Promise<void> {
    this.#draining = true;
    if (!this.lost) await this.#streams.untilNone(timeoutMs);
    if (this.lost) return;
    control.end();
    await finishesWithin(this.connection.flushed(), flushMs);
    this.connection.close(noCode, '');
  }

  abort(reason: PosternError): void {
    this.#draining = true;
    this.#abortReason ??= reason;
    this.connection.close(noCode, '');
  }

  #onClosed(ending: ConnectionEnding): void {
    this.#streams.stop();
    const orderly = ending.kind === 'local' || (ending.kind === 'application' && ending.code === noCode);
    const error = this.#abortReason ?? (orderly ? undefined : endingError(ending));
    const end = { orderly: orderly && this.#abortReason === undefined };
    this.#closed.resolve(error === undefined ? end : { ...end, error });
  }
}

/** For 'error' of streams whose failure is seen by 'close' without 'end'. */
export function ignore(): void {
  // The reader looks at 'end', so that dropping this error loses nothing.
}

/** Whether `promise` is fulfilled in time; false when it rejects (the connection ended) or is late. */
function finishesWithin(promise: Promise<void>, timeoutMs: number): Promise<boolean> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, timeoutMs, false);
    const settle = (fulfilled: boolean) => (): void => {
      clearTimeout(timer);
      resolve(fulfilled);
    };
    promise.then(settle(true), settle(false));
  });
}
