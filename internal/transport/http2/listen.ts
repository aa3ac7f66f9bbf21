// The edge's end over HTTP/2: accepts TLS from connectors and is the HTTP/2 client on that socket.
// Source: docs/protocol/edge-protocol.md §10, §13.2. Peers that handshake and vanish are pre-checks, not errors (§13.3).

import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer, type TLSSocket } from 'node:tls';
import { PosternError } from '../../errors/error.ts';
import type { HeaderList } from '../../net/http/header-list.ts';
import { headerListBytes } from '../../net/http/header-list.ts';
import { endOnlyWhenClean, resetStream } from '../../net/http2/clean-end.ts';
import { AddressLimiter, type AddressLimits } from '../../net/limits/address-limiter.ts';
import { listenFailed, listenTcp } from '../../net/stream/listen-tcp.ts';
import {
  type ConfigurationAnswer,
  encodeConfigurationRequest,
  type PushedConfiguration,
} from '../../wire/stream/configuration-request.ts';
import { responseHeadersHeader, responseMetaHeader, spansHeader } from '../../wire/stream/upgrade-header.ts';
import { preferredGroups } from '../tls.ts';
import type {
  ConnectionEnd,
  ConnectionStats,
  EdgeConnection,
  EdgeListener,
  EdgeResponse,
  OutgoingStream,
  RequestHead,
  StreamKind,
} from '../transport.ts';
import { configurationRequest, sendConfiguration } from './configuration.ts';
import { controlRequest, decodeResponseHead, encodeRequestHead } from './head.ts';
import { holdEnd, knowsHalfClose } from './held-end.ts';
import { Http2Link } from './link.ts';
import { connectionWindowBytes, edgeOptions, receivedHeaderBytes } from './settings.ts';

export interface Http2ListenOptions {
  readonly host: string;
  readonly port: number;
  /** PEM; the certificate carries its chain. */
  readonly key: string;
  readonly cert: string;
  /** Called for every connection that spoke HTTP/2; the connection is the callee's to close. */
  readonly onConnection: (connection: EdgeConnection) => void;
  /** Peers that have not spoken HTTP/2 yet; more are closed at once. Default 1,024, and 256 from one address. */
  readonly handshakes?: AddressLimits;
  /** Default 10 s. */
  readonly handshakeTimeoutMs?: number;
}

export interface Http2Listener extends EdgeListener {
  /** Use another certificate for connections from now on. */
  setCertificates(certificates: { readonly key: string; readonly cert: string }): void;
}

/** A peer must finish TLS this soon, and then send its HTTP/2 SETTINGS. */
const defaultHandshakeTimeoutMs = 10_000;

/** A handshake costs some 60 KiB while it lasts; 64 connectors behind one address may come back at the same moment. */
export const handshakeLimits: AddressLimits = { total: 1_024, perAddress: 256 };

interface PendingPeer {
  readonly socket: Socket;
  /** It need not be counted any more. */
  readonly known: () => void;
}

/** Listens for connectors. Throws 'listen.failed'. */
export async function listenHttp2(options: Http2ListenOptions): Promise<Http2Listener> {
  const { handshakeTimeoutMs = defaultHandshakeTimeoutMs } = options;
  const server = createServer({
    key: options.key,
    cert: options.cert,
    minVersion: 'TLSv1.2',
    ecdhCurve: `${preferredGroups}:X25519`,
    handshakeTimeout: handshakeTimeoutMs,
    noDelay: true,
    // Connectors offer no ALPN; ours neither. A peer that offers some gets no choice made for it.
  });
  // TCP sockets whose peer has not spoken HTTP/2 yet, by peer: the TLS socket that follows is another object.
  const pending = new Map<string, PendingPeer>();
  const limiter = new AddressLimiter(options.handshakes ?? handshakeLimits);
  server.on('connection', (socket: Socket) => {
    const release = limiter.admit(socket.remoteAddress);
    if (release === undefined) {
      socket.destroy();
      return;
    }
    const peer = peerOf(socket);
    const known = (): void => {
      release();
      pending.delete(peer);
    };
    pending.set(peer, { socket, known });
    socket.once('close', known);
  });
  // Handshake failures are the peer's business: scanners, pre-checks, wrong trust. Node leaves those that took too long open.
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  server.on('secureConnection', socket => {
    const peer = peerOf(socket);
    acceptHttp2(
      socket,
      connection => {
        pending.get(peer)?.known();
        options.onConnection(connection);
      },
      handshakeTimeoutMs,
    );
  });
  try {
    await listenTcp(server, options.host, options.port);
  } catch (error) {
    throw listenFailed('connectors (--connector-port)', options.host, options.port, error);
  }
  const address = server.address() as AddressInfo;
  return {
    address: { host: address.address, port: address.port },
    setCertificates: certificates => server.setSecureContext({ ...certificates, minVersion: 'TLSv1.2' }),
    close: () =>
      new Promise(resolve => {
        server.close();
        // Server.close() would wait for accepted connections, which live on by contract.
        for (const { socket } of pending.values()) socket.destroy();
        resolve();
      }),
  };
}

function peerOf(socket: Socket): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}

/**
 * Speaks HTTP/2 with a connector on a socket after its TLS handshake. `onConnection` is called when it has answered; a peer
 * that does not is cut off after `handshakeTimeoutMs`, and nobody is told.
 */
export function acceptHttp2(
  socket: TLSSocket,
  onConnection: (connection: EdgeConnection) => void,
  handshakeTimeoutMs: number = defaultHandshakeTimeoutMs,
): void {
  const session = connect('https://connector', { ...edgeOptions, createConnection: () => socket });
  // Failures before the peer's SETTINGS are pre-checks and scanners; nobody is told.
  session.on('error', () => undefined);
  const timer = setTimeout(() => session.destroy(), handshakeTimeoutMs);
  session.once('close', () => clearTimeout(timer));
  session.once('remoteSettings', () => {
    clearTimeout(timer);
    session.setLocalWindowSize(connectionWindowBytes);
    onConnection(new Http2EdgeConnection(session, socket));
  });
}

class Http2EdgeConnection implements EdgeConnection {
  readonly protocol = 'http2';
  readonly datagrams = undefined;
  readonly openRpc = undefined;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly control: Duplex;
  readonly closed: Promise<ConnectionEnd>;
  readonly #session: ClientHttp2Session;
  readonly #link: Http2Link;
  readonly #controlStream: ClientHttp2Stream;
  /** What the connector announced, and no more than our own connector takes. */
  readonly #maxHeadBytes: number;

  constructor(session: ClientHttp2Session, socket: TLSSocket) {
    this.localAddress = `${socket.localAddress}:${socket.localPort}`;
    this.remoteAddress = `${socket.remoteAddress}:${socket.remotePort}`;
    this.#session = session;
    this.#link = new Http2Link(session, socket, undefined);
    this.closed = this.#link.closed;
    this.#maxHeadBytes = Math.min(session.remoteSettings.maxHeaderListSize ?? receivedHeaderBytes, receivedHeaderBytes);
    this.#controlStream = session.request(controlRequest, { endStream: false });
    endOnlyWhenClean(this.#controlStream);
    this.control = this.#controlStream;
  }

  acceptRpc(): void {
    // HTTP/2 connectors open no streams.
  }

  request(head: RequestHead): OutgoingStream {
    if (this.#link.draining) throw new PosternError('connection.closed', 'This connection takes no new requests.');
    const raw = encodeRequestHead(head);
    const bytes = headerListBytes(raw);
    if (bytes > this.#maxHeadBytes)
      throw new PosternError(
        'protocol.too-large',
        `The head of the request has ${bytes} bytes; this connector takes ${this.#maxHeadBytes}.`,
      );
    // Trailers of requests are not carried (nor does cloudflared, nor can QUIC's data streams,
    // docs/protocol/edge-protocol.md §9.3.1): with `waitForTrailers` Node 26 aborts the process when such a request is
    // reset while its session reads (an assertion in Http2Stream::OnTrailers), which any connector could bring about.
    const stream = this.#session.request(raw, { endStream: head.bodyLength === 0 });
    this.#link.track(stream);
    endOnlyWhenClean(stream);
    if (head.kind !== 'http' && !knowsHalfClose(this.#session)) holdEnd(stream);
    return new Http2OutgoingStream(stream, head.kind, this.#link);
  }

  configure(pushed: PushedConfiguration, timeoutMs: number): Promise<ConfigurationAnswer> {
    if (this.#link.draining)
      return Promise.reject(new PosternError('connection.closed', 'This connection takes no new requests.'));
    const body = encodeConfigurationRequest(pushed);
    const stream = this.#session.request(configurationRequest(body.byteLength), { endStream: false });
    endOnlyWhenClean(stream);
    this.#link.track(stream);
    return sendConfiguration(stream, body, timeoutMs);
  }

  ping(timeoutMs: number): Promise<number> {
    return this.#link.ping(timeoutMs);
  }

  get openStreams(): number {
    return this.#link.openStreams;
  }

  stats(): ConnectionStats {
    return this.#link.stats();
  }

  drain(timeoutMs: number): Promise<void> {
    return this.#link.drain(this.#controlStream, timeoutMs);
  }

  abort(reason: PosternError): void {
    this.#link.abort(reason);
  }
}

class Http2OutgoingStream implements OutgoingStream {
  readonly body: ClientHttp2Stream;
  readonly response: Promise<EdgeResponse>;
  trailers: HeaderList = [];

  constructor(stream: ClientHttp2Stream, kind: StreamKind, link: Http2Link) {
    this.body = stream;
    stream.once('trailers', (_trailers, _flags, raw: string[] = []) => {
      this.trailers = raw;
    });
    this.response = new Promise((resolve, reject) => {
      let answered = false;
      stream.once('response', headers => {
        answered = true;
        try {
          resolve(decodeHead(kind, headers));
        } catch (error) {
          resetStream(stream);
          reject(error as PosternError);
        }
      });
      // An error is not free: it takes the stack, and nearly every stream has been answered.
      stream.once('close', () => {
        if (!answered) reject(closeReason(stream, link));
      });
    });
    // A stream reset before anybody awaits the response must not be an unhandled rejection.
    this.response.catch(() => undefined);
  }

  reset(): void {
    resetStream(this.body);
  }
}

function decodeHead(kind: StreamKind, headers: IncomingHttpHeaders & { ':status'?: number | undefined }): EdgeResponse {
  const text = (name: string): string | undefined => {
    const value = headers[name];
    return typeof value === 'string' ? value : value?.join(', ');
  };
  const [serialized, meta, spans] = [text(responseHeadersHeader), text(responseMetaHeader), text(spansHeader)];
  return decodeResponseHead(kind, headers[':status'] ?? 502, serialized, meta, spans);
}

function closeReason(stream: ClientHttp2Stream, link: Http2Link): PosternError {
  if (stream.rstCode === constants.NGHTTP2_REFUSED_STREAM)
    return new PosternError('connection.closed', 'The connector takes no new requests.');
  if (link.draining)
    return new PosternError('connection.lost', 'The connection to the connector was lost before it answered.');
  return new PosternError('stream.reset', 'The connector ended the stream before it answered.');
}
