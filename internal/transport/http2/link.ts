// What both ends of an HTTP/2 connection share: counting streams, ending in order or at once, and saying how it ended.
// Source: docs/protocol/edge-protocol.md §10.12, §11; RFC 9113 §5.4, §6.8.

import { constants, type Http2Session, type Http2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { foreignCode, PosternError } from '../../errors/error.ts';
import { watchReader } from '../../net/http2/held.ts';
import { OpenStreams } from '../open-streams.ts';
import type { ConnectionEnd, ConnectionStats } from '../transport.ts';
import { watchPeer } from './keep-alive.ts';

/** How long a closing session may take to flush its last frames before the socket is cut. */
const flushMs = 2_000;
/** After the peer ended its side, how long the session may take to see that by itself, so that it can say how it ended. */
const endedMs = 100;

export class Http2Link {
  readonly #session: Http2Session;
  readonly #socket: TLSSocket;
  readonly closed: Promise<ConnectionEnd>;
  readonly #group: string | undefined;
  readonly #streams = new OpenStreams();
  #draining = false;
  #orderly = false;
  #error: PosternError | undefined;
  #rttMs: number | undefined;
  #minRttMs: number | undefined;

  constructor(session: Http2Session, socket: TLSSocket, group: string | undefined) {
    this.#session = session;
    this.#socket = socket;
    this.#group = group;
    session.on('error', error => {
      this.#error ??= translateSessionError(error);
    });
    session.on('goaway', code => {
      if (code === constants.NGHTTP2_NO_ERROR) this.#orderly = true;
    });
    // Node reports a socket that dies under a session only as the session's close; keep the cause.
    socket.on('error', error => {
      this.#error ??= translateSessionError(error);
    });
    this.closed = new Promise(resolve => {
      session.once('close', () => {
        this.#streams.stop();
        socket.destroy();
        if (this.#orderly && this.#error === undefined) resolve({ orderly: true });
        else
          resolve({
            orderly: this.#orderly,
            error:
              this.#error ?? new PosternError('connection.lost', 'The peer closed the connection without saying so.'),
          });
      });
    });
    // A peer that ended its side cannot go on with HTTP/2. Node leaves such a socket half open under a session that it
    // destroyed meanwhile, and then the session's close never comes.
    socket.once('end', () => {
      setTimeout(() => socket.destroy(), endedMs).unref();
    });
    watchPeer(session, socket, error => this.abort(error), this.#onPong);
  }

  get draining(): boolean {
    return this.#draining || this.#session.closed || this.#session.destroyed;
  }

  get openStreams(): number {
    return this.#streams.count;
  }

  /** Counts a request stream until it closes, and what it holds unread; the control stream is not counted. */
  track(stream: Http2Stream): void {
    this.#streams.opened();
    watchReader(stream);
    stream.once('close', this.#streams.closed);
  }

  stats(): ConnectionStats {
    const destroyed = this.#session.destroyed;
    return {
      protocol: 'http2',
      openStreams: this.#streams.count,
      group: this.#group,
      rttMs: this.#rttMs,
      minRttMs: this.#minRttMs,
      sentBytes: destroyed ? undefined : this.#socket.bytesWritten,
      receivedBytes: destroyed ? undefined : this.#socket.bytesRead,
    };
  }

  readonly #onPong = (durationMs: number): void => {
    this.#rttMs = durationMs;
    this.#minRttMs = Math.min(this.#minRttMs ?? durationMs, durationMs);
  };

  /** Round trip in milliseconds; rejects 'connection.lost' when no answer came in time. */
  ping(timeoutMs: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const lost = (): void =>
        reject(new PosternError('connection.lost', `The peer did not answer a ping within ${timeoutMs} ms.`));
      const timer = setTimeout(lost, timeoutMs);
      const sent =
        !this.#session.destroyed &&
        this.#session.ping((error, durationMs) => {
          clearTimeout(timer);
          if (error !== null) return lost();
          this.#onPong(durationMs);
          resolve(durationMs);
        });
      if (!sent) {
        clearTimeout(timer);
        lost();
      }
    });
  }

  /**
   * Says GOAWAY, so that a connector dials its next connection while requests finish here; then waits for running
   * streams, ends `control` and closes.
   */
  async drain(control: Http2Stream | undefined, timeoutMs: number): Promise<void> {
    this.#draining = true;
    if (this.#session.destroyed) return;
    if (!this.#session.closed) this.#session.goaway(constants.NGHTTP2_NO_ERROR);
    await this.#streams.untilNone(timeoutMs);
    if (this.#session.destroyed) return;
    this.#orderly = true;
    await new Promise<void>(resolve => {
      const timer = setTimeout(() => {
        this.#session.destroy(undefined, constants.NGHTTP2_INTERNAL_ERROR);
        this.#socket.destroy();
      }, flushMs);
      this.#session.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      control?.close(constants.NGHTTP2_NO_ERROR);
      this.#session.close();
      // Streams that outlived the wait would hold the session open.
      if (this.#streams.count > 0) this.#session.destroy(undefined, constants.NGHTTP2_INTERNAL_ERROR);
    });
  }

  abort(reason: PosternError): void {
    this.#draining = true;
    this.#error ??= reason;
    if (this.#session.destroyed) return;
    // The code makes running streams fail rather than end.
    this.#session.destroy(undefined, constants.NGHTTP2_INTERNAL_ERROR);
    this.#socket.destroy();
  }
}

function translateSessionError(error: Error): PosternError {
  const reason = foreignCode(error) ?? error.message;
  const lost = reason.startsWith('E') && !reason.startsWith('ERR_');
  if (lost) return new PosternError('connection.lost', `The connection was lost (${reason}).`, { cause: error });
  // nghttp2 has one code for everything; its text says what it was.
  const what = reason === error.message ? reason : `${reason}: ${error.message}`;
  return new PosternError('protocol.malformed', `The peer broke the HTTP/2 protocol (${what}).`, { cause: error });
}

/** Name of the negotiated key exchange group, as far as Node tells (clients only). */
export function negotiatedGroup(socket: TLSSocket): string | undefined {
  const info = socket.getEphemeralKeyInfo();
  const name = info !== null && 'name' in info ? info.name : undefined;
  // OpenSSL's name of the curve that QUIC's library and RFC 8446 call otherwise.
  if (name === 'prime256v1') return 'secp256r1';
  return typeof name === 'string' && name !== '' ? name : undefined;
}
