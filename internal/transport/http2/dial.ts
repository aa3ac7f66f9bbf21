// The connector's end over HTTP/2: we dial TCP and TLS, then serve HTTP/2 in reverse on that socket.
// Source: docs/protocol/edge-protocol.md §10. The stream API of node:http2 is used, not the compatibility API: it costs
// a third less.

import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { PosternError } from '../../errors/error.ts';
import { formatHostPort } from '../../net/address/host-port.ts';
import type { HeaderList } from '../../net/http/header-list.ts';
import { headerListBytes, headerValue } from '../../net/http/header-list.ts';
import { endOnlyWhenClean, resetStream } from '../../net/http2/clean-end.ts';
import { pairHeaders } from '../../net/http2/pair-headers.ts';
import { sentHeaderBytes } from '../../net/http2/sizes.ts';
import { connectTls } from '../tls.ts';
import type {
  ConnectionEnd,
  ConnectionStats,
  ConnectorConnection,
  ConnectorHandler,
  DialOptions,
  IncomingStream,
  RequestHead,
  ResponseHead,
  StreamRefusal,
} from '../transport.ts';
import { serveConfiguration } from './configuration.ts';
import { decodeRequestHead, encodeRefusal, encodeResponseHead } from './head.ts';
import { Http2Link, negotiatedGroup } from './link.ts';
import { connectionWindowBytes, connectorOptions } from './settings.ts';
import { stopUnreadRequest } from './stop-unread.ts';

/**
 * The edge must open the control stream this soon after TLS (docs/protocol/edge-protocol.md §10.1 item 2 allows 10 s
 * for its preface).
 */
const controlTimeoutMs = 10_000;

/** Dials an edge. Throws 'dial.failed', 'dial.timeout' or 'tls.failed'; the connection is the caller's to close. */
export async function dialHttp2(options: DialOptions): Promise<ConnectorConnection> {
  const { socket, localAddress } = await connectTls(options);
  return new Http2ConnectorConnection(socket, localAddress, formatHostPort(options.host, options.port));
}

class Http2ConnectorConnection implements ConnectorConnection {
  readonly protocol = 'http2';
  readonly datagrams = undefined;
  readonly openRpc = undefined;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly control: Promise<Duplex>;
  readonly closed: Promise<ConnectionEnd>;
  readonly goingAway: Promise<void>;
  readonly #session: ServerHttp2Session;
  readonly #link: Http2Link;
  readonly #peer: PeerLimits = { maxHeadBytes: sentHeaderBytes };
  readonly #waiting: ((handler: ConnectorHandler) => void)[] = [];
  #handler: ConnectorHandler | undefined;
  #controlStream: ServerHttp2Stream | undefined;
  #control = Promise.withResolvers<Duplex>();

  constructor(socket: TLSSocket, localAddress: string, remoteAddress: string) {
    this.localAddress = localAddress;
    this.remoteAddress = remoteAddress;
    const group = negotiatedGroup(socket);
    this.#session = performServerHandshake(socket, connectorOptions);
    this.#link = new Http2Link(this.#session, socket, group);
    this.closed = this.#link.closed;
    this.goingAway = new Promise(resolve => {
      this.#session.once('goaway', () => resolve());
      this.#session.once('close', () => resolve());
    });
    this.control = this.#control.promise;
    // A connection that ends before anybody awaits `control` must not be an unhandled rejection.
    this.control.catch(() => undefined);
    // The window can only be widened once the native session exists, which is so after the handshake call.
    this.#session.setLocalWindowSize(connectionWindowBytes);
    this.#session.on('remoteSettings', ({ maxHeaderListSize = sentHeaderBytes }) => {
      this.#peer.maxHeadBytes = Math.min(maxHeaderListSize, sentHeaderBytes);
    });
    this.#session.on('stream', (stream, _headers, flags, rawHeaders) => this.#accept(stream, flags, rawHeaders));
    const timer = setTimeout(() => {
      this.abort(
        new PosternError(
          'dial.timeout',
          `The edge ${this.remoteAddress} opened no control stream within ${controlTimeoutMs} ms; check that it is an edge.`,
        ),
      );
    }, controlTimeoutMs);
    const known = (): void => clearTimeout(timer);
    this.control.then(known, known);
    void this.closed.then(end =>
      this.#control.reject(
        end.error ?? new PosternError('connection.closed', 'The edge closed the connection before its control stream.'),
      ),
    );
  }

  serve(handler: ConnectorHandler): void {
    this.#handler = handler;
    for (const deliver of this.#waiting.splice(0)) deliver(handler);
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

  #accept(stream: ServerHttp2Stream, flags: number, rawHeaders: string[]): void {
    endOnlyWhenClean(stream);
    let head: ReturnType<typeof decodeRequestHead>;
    try {
      head = decodeRequestHead(rawHeaders, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0);
    } catch {
      // Only malformed heads throw. A reset with PROTOCOL_ERROR would be heard as a complaint about the whole connection,
      // which some clients then retire: RFC 9113 §8.1.1 allows an answer as well.
      answerAndStop(stream, 400);
      return;
    }
    if (head === 'control') {
      if (this.#controlStream === undefined) this.#acceptControl(stream);
      else answerAndStop(stream, 400);
      return;
    }
    if (this.#link.draining) {
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    this.#link.track(stream);
    if (head === 'configuration') {
      if (this.#handler !== undefined) void serveConfiguration(stream, this.#handler);
      else this.#waiting.push(handler => void serveConfiguration(stream, handler));
      return;
    }
    const incoming = new Http2IncomingStream(stream, head, this.#peer);
    if (this.#handler !== undefined) this.#handler.stream(incoming);
    else this.#waiting.push(handler => handler.stream(incoming));
  }

  #acceptControl(stream: ServerHttp2Stream): void {
    this.#controlStream = stream;
    stream.respond([':status', '200']);
    this.#control.resolve(stream);
  }
}

/** What the edge announced. */
interface PeerLimits {
  maxHeadBytes: number;
}

class Http2IncomingStream implements IncomingStream {
  readonly head: RequestHead;
  readonly body: ServerHttp2Stream;
  readonly #peer: PeerLimits;
  #trailers: HeaderList = [];

  constructor(stream: ServerHttp2Stream, head: RequestHead, peer: PeerLimits) {
    this.#peer = peer;
    this.body = stream;
    this.head = head;
    // Node resets a server's stream whose response ended before anything was read; a raw stream may be read later.
    if (head.kind === 'tcp' || head.kind === 'websocket') stream.read(0);
  }

  respond(head: ResponseHead, options?: { endStream?: boolean }): void {
    const { body } = this;
    if (body.destroyed || body.headersSent) return;
    const endStream = options?.endStream === true;
    const raw = encodeResponseHead(head);
    const bytes = headerListBytes(raw);
    if (bytes > this.#peer.maxHeadBytes)
      throw new PosternError(
        'origin.failed',
        `The headers of the response need ${bytes} bytes over HTTP/2; the edge takes ${this.#peer.maxHeadBytes}.`,
      );
    // An HTTP answer may be complete before the request is: then the edge is told to stop sending (RFC 9113 §8.1).
    const early = this.head.kind === 'http' && this.head.bodyLength !== 0;
    // Trailers exist only where the length was not announced; waiting for them costs an extra event per stream.
    const isLengthKnown = headerValue(raw, 'content-length') !== undefined;
    const waitForTrailers = !endStream && this.head.kind === 'http' && !isLengthKnown;
    if (waitForTrailers)
      body.once('wantTrailers', () => {
        body.sendTrailers(pairHeaders(this.#trailers));
        if (early) stopUnreadRequest.call(body);
      });
    else if (early) body.once('finish', stopUnreadRequest);
    body.respond(raw, { endStream, waitForTrailers });
  }

  trailers(list: HeaderList): boolean {
    this.#trailers = list;
    return true;
  }

  refuse(refusal: StreamRefusal): void {
    if (this.body.destroyed) return;
    if (this.body.headersSent) this.reset();
    else {
      if (this.head.bodyLength !== 0) this.body.once('finish', stopUnreadRequest);
      this.body.respond(encodeRefusal(refusal), { endStream: true });
    }
  }

  reset(): void {
    resetStream(this.body);
  }
}

/** For what is no request of a visitor: a status, and no more of its body. */
function answerAndStop(stream: ServerHttp2Stream, status: number): void {
  stream.once('finish', stopUnreadRequest);
  stream.respond([':status', String(status), 'content-length', '0'], { endStream: true });
}
