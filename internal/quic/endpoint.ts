// One UDP socket and the QUIC connections on it, dialled and accepted. Everything runs on the thread that opened it;
// the native engine calls in with batches of events, which are given to connections and streams here.

import { PosternError } from '../errors/error.ts';
import { formatHostPort } from '../net/address/host-port.ts';
import type { ReceiveBuffer } from '../net/linux/receive-buffer.ts';
import { type ConnectionEnding, endingError, endingOf, QuicConnection } from './connection.ts';
import { eventKind, loadNative, type NativeEndpoint, recordLength, stateLength } from './native.ts';
import { type EndpointOptions, nativeSettings } from './settings.ts';
import { ReadSlab } from './stream.ts';

export interface ConnectOptions {
  readonly address: string;
  readonly port: number;
  /** Sent as SNI; the certificate must be valid for it. */
  readonly serverName: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface EndpointStats {
  readonly connections: number;
  readonly handshakes: number;
  readonly retriesSent: number;
  readonly refused: number;
  readonly handshakesFailed: number;
  readonly receiveCalls: number;
  readonly receivedPackets: number;
  readonly receivedBytes: number;
  readonly sendCalls: number;
  readonly sentPackets: number;
  readonly sentBytes: number;
  /** Sends the system refused for other reasons than size, and the errno of the last: EPERM means a local firewall. */
  readonly sendErrors: number;
  readonly lastSendErrno: number;
  /** Kernel's receive buffer of the socket, as it is asked for (`Tuning.socketBuffer`); 0 where the system does not tell. */
  readonly receiveBufferBytes: number;
}

/** Receives each connection a client made, when its handshake is done. Must not throw. */
export type AcceptHandler = (connection: QuicConnection) => void;

/** A closing endpoint answers late packets of its connections for this long at most; a peer that missed the close finds out by its own idle timeout. */
const drainMs = 500;

interface Dial {
  readonly resolve: (connection: QuicConnection) => void;
  readonly reject: (error: PosternError) => void;
}

/** Made by `openEndpoint`. Everything on it ends with it. */
export class QuicEndpoint {
  readonly #native: NativeEndpoint;
  readonly #slab = new ReadSlab();
  readonly #connections = new Map<number, QuicConnection>();
  readonly #dials = new Map<number, Dial>();
  readonly #accept: AcceptHandler | undefined;
  /** Of the socket, when it was opened. */
  readonly receiveBuffer: ReceiveBuffer;
  #closed: Promise<void> | undefined;
  #closeDone: (() => void) | undefined;
  #over = false;

  /** Use `openEndpoint`. */
  constructor(options: EndpointOptions, accept: AcceptHandler | undefined) {
    const native = loadNative();
    this.#accept = accept;
    const settings = nativeSettings(options);
    try {
      this.#native = native.createEndpoint(settings, (count, texts) => this.#onEvents(count, texts));
    } catch (error) {
      throw translate(error, options.bind);
    }
    this.receiveBuffer = { askedBytes: settings.socketBuffer, grantedBytes: this.stats().receiveBufferBytes };
  }

  /** `IP:port` the socket is bound to. */
  get address(): string {
    return this.#native.address();
  }

  /**
   * Dials. Rejects with 'dial.timeout', 'tls.failed' (certificate, groups, ALPN) or 'dial.failed'.
   * The caller owns the connection; the endpoint stays open for more.
   */
  connect(options: ConnectOptions): Promise<QuicConnection> {
    return new Promise((resolve, reject) => {
      if (options.signal?.aborted)
        return reject(new PosternError('dial.failed', 'The dial was given up before it began'));
      const remote = formatHostPort(options.address, options.port);
      let handle: number;
      try {
        handle = this.#native.connect(remote, options.serverName);
      } catch (error) {
        return reject(translate(error, remote));
      }
      const connection = new QuicConnection(this.#native, handle, this.#slab);
      this.#connections.set(handle, connection);
      const giveUp = (error: PosternError): void => {
        done();
        connection.close(0, '');
        reject(error);
      };
      const timer = setTimeout(() => {
        const message = `No QUIC handshake with ${remote} within ${Math.round(options.timeoutMs)} ms${this.#sendTrouble()}`;
        giveUp(new PosternError('dial.timeout', message));
      }, options.timeoutMs);
      const onAbort = (): void => giveUp(new PosternError('dial.failed', 'The dial was given up'));
      options.signal?.addEventListener('abort', onAbort, { once: true });
      const done = (): void => {
        clearTimeout(timer);
        options.signal?.removeEventListener('abort', onAbort);
        this.#dials.delete(handle);
      };
      this.#dials.set(handle, {
        resolve: connected => {
          done();
          resolve(connected);
        },
        reject: error => {
          done();
          reject(error);
        },
      });
    });
  }

  #sendTrouble(): string {
    const stats = this.stats();
    return stats.sendErrors > 0 ? ` (the system refused to send: errno ${stats.lastSendErrno})` : '';
  }

  stats(): EndpointStats {
    this.#native.endpointStats();
    const at = (index: number): number => (this.#over ? 0 : (this.#native.memory[index] ?? 0));
    return {
      connections: at(0),
      handshakes: at(1),
      retriesSent: at(2),
      refused: at(3),
      handshakesFailed: at(4),
      receiveCalls: at(5),
      receivedPackets: at(6),
      receivedBytes: at(7),
      sendCalls: at(8),
      sentPackets: at(9),
      sentBytes: at(10),
      sendErrors: at(11),
      lastSendErrno: at(12),
      receiveBufferBytes: at(13),
    };
  }

  /**
   * Shows another PEM chain and key to connections accepted from now on; nothing once retired.
   * @throws PosternError 'tls.failed' when they cannot be used; the old ones stay.
   */
  setIdentity(identity: { readonly cert: string; readonly key: string }): void {
    try {
      this.#native.setIdentity(identity.cert, identity.key);
    } catch (error) {
      throw translate(error, this.address);
    }
  }

  /** Whether the open socket keeps the process alive (it does at first). */
  setReferenced(referenced: boolean): void {
    this.#native.setReferenced(referenced);
  }

  /** Accepts no more connections; those that are open live on, and the socket is freed after the last of them. */
  retire(): void {
    this.#native.shutdown();
  }

  /** Closes all connections with code 0 and frees the socket. Settles when it is free; idempotent. */
  close(): Promise<void> {
    if (this.#closed !== undefined) return this.#closed;
    this.#closed = new Promise(resolve => {
      if (this.#over) return resolve();
      const timer = setTimeout(() => {
        this.#native.destroy();
        this.#finish();
      }, drainMs);
      this.#closeDone = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#closeConnections({ kind: 'local', code: 0, reason: '' });
      this.#native.shutdown();
    });
    return this.#closed;
  }

  #closeConnections(ending: ConnectionEnding): void {
    for (const connection of [...this.#connections.values()]) {
      if (ending.kind === 'local') connection.close(ending.code, ending.reason);
      else connection.ended(ending);
    }
    for (const dial of [...this.#dials.values()]) dial.reject(dialError(ending, this.#sendTrouble()));
  }

  #finish(): void {
    this.#over = true;
    this.#connections.clear();
    this.#closeDone?.();
    this.#closeDone = undefined;
  }

  #onEvents(count: number, texts: readonly string[] | undefined): void {
    const memory = this.#native.memory;
    let text = 0;
    for (let at = stateLength, end = stateLength + count * recordLength; at < end; at += recordLength) {
      const kind = memory[at] ?? 0;
      const handle = memory[at + 1] ?? 0;
      const a = memory[at + 2] ?? 0;
      const b = memory[at + 3] ?? 0;
      if (kind === eventKind.readable) this.#connections.get(handle)?.readable(a);
      else if (kind === eventKind.opened) this.#connections.get(handle)?.opened(a);
      else if (kind === eventKind.writable) this.#connections.get(handle)?.writable(a);
      else if (kind === eventKind.datagram) this.#connections.get(handle)?.datagrams();
      else if (kind === eventKind.stopped) this.#connections.get(handle)?.stopped(a, b);
      else if (kind === eventKind.connected) this.#onConnected(handle, texts?.[text++] ?? '');
      else if (kind === eventKind.closed) this.#onEnded(handle, endingOf(a, b, texts?.[text++] ?? ''));
      else if (kind === eventKind.drained) this.#onEnded(handle, endingOf(0, 0, ''));
      else if (kind === eventKind.streamsAvailable) this.#connections.get(handle)?.streamsAvailable();
      else if (kind === eventKind.flushed) this.#connections.get(handle)?.flushedNow();
      else if (kind === eventKind.pong) this.#connections.get(handle)?.pong();
      else if (kind === eventKind.endpointClosed) this.#finish();
      else if (kind === eventKind.failed) this.#onFailed(texts?.[text++] ?? '');
    }
  }

  #onConnected(handle: number, text: string): void {
    const [alpn = '', group = '', , serverName = ''] = text.split('\n');
    let connection = this.#connections.get(handle);
    const dialled = connection !== undefined;
    if (connection === undefined) {
      connection = new QuicConnection(this.#native, handle, this.#slab);
      this.#connections.set(handle, connection);
    }
    connection.alpn = alpn;
    connection.group = group;
    connection.serverName = serverName;
    if (dialled) this.#dials.get(handle)?.resolve(connection);
    else if (this.#accept === undefined) connection.close(0, '');
    else this.#accept(connection);
  }

  /** CLOSED by the peer or the engine, or DRAINED, which is the last word about a connection. */
  #onEnded(handle: number, ending: ConnectionEnding): void {
    const connection = this.#connections.get(handle);
    this.#connections.delete(handle);
    this.#dials.get(handle)?.reject(dialError(ending, this.#sendTrouble()));
    connection?.ended(ending);
  }

  #onFailed(reason: string): void {
    this.#over = true;
    this.#closeConnections({ kind: 'other', code: 0, reason });
    this.#finish();
  }
}

/** `trouble`: what may have kept our packets from leaving, or ''. */
function dialError(ending: ConnectionEnding, trouble: string): PosternError {
  const cause = endingError(ending);
  if (cause.code === 'tls.failed') return cause;
  const code = ending.kind === 'idle' ? 'dial.timeout' : 'dial.failed';
  return new PosternError(code, `The QUIC dial failed: ${cause.message}${trouble}`, {
    cause,
    ...(cause.details && { details: cause.details }),
  });
}

/** Codes the native side throws. */
function translate(error: unknown, where: string): PosternError {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  const text = error instanceof Error ? error.message : String(error);
  if (code === 'ERR_BIND') return new PosternError('listen.failed', text, { cause: error });
  if (code === 'ERR_TLS') return new PosternError('tls.failed', text, { cause: error });
  if (code === 'ERR_CONNECT') return new PosternError('dial.failed', text, { cause: error });
  return new PosternError('internal', `The QUIC engine refused ${where}: ${text}`, { cause: error });
}

/**
 * Opens an endpoint; close it when done.
 * @throws PosternError 'unavailable' (no engine for this platform), 'listen.failed' (bind), 'tls.failed' (PEM texts).
 */
export function openEndpoint(options: EndpointOptions, accept?: AcceptHandler): QuicEndpoint {
  return new QuicEndpoint(options, accept);
}
