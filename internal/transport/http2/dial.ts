// The connector's end over HTTP/2: we dial TCP and TLS, then serve HTTP/2 in reverse on that socket.
// Source: spec edge-protocol §10. The stream API of node:http2 is used, not the compatibility API: it costs a third less.

import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { PosternError } from '../../errors/error.ts';
import { connectTls } from '../tls.ts';
import type {
  ConnectionEnd,
  ConnectionStats,
  ConnectorConnection,
  ConnectorHandler,
  DialOptions,
  HeaderList,
  IncomingStream,
  RequestHead,
  ResponseHead,
  StreamRefusal,
} from '../transport.ts';
import { endOnlyWhenClean, resetStream } from './clean-end.ts';
import { decodeRequestHead, encodeRefusal, encodeResponseHead, fitsPeer } from './head.ts';
import { Http2Link, negotiatedGroup } from './link.ts';
import { pairHeaders } from './pair-headers.ts';
import { connectionWindowBytes, connectorOptions } from './settings.ts';

/** The edge must open the control stream this soon after TLS (spec §10.1 item 2 allows 10 s for its preface). */
const controlTimeoutMs = 10_000;

/** RFC 9110 §15: what is beyond is no status, and Node does not send it. */
const maxStatus = 599;

/** Dials an edge. Throws 'dial.failed', 'dial.timeout' or 'tls.failed'; the connection is the caller's to close. */
export async function dialHttp2(options: DialOptions): Promise<ConnectorConnection> {
  return new Http2ConnectorConnection(await connectTls(options));
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
  readonly #waiting: Http2IncomingStream[] = [];
  #handler: ConnectorHandler | undefined;
  #controlStream: ServerHttp2Stream | undefined;
  #control = Promise.withResolvers<Duplex>();

  constructor(socket: TLSSocket) {
    this.localAddress = socket.localAddress ?? '';
    this.remoteAddress = `${socket.remoteAddress}:${socket.remotePort}`;
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
    for (const incoming of this.#waiting.splice(0)) handler.stream(incoming);
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
    let head: RequestHead | 'control';
    try {
      head = decodeRequestHead(rawHeaders, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0);
    } catch {
      // Only malformed heads throw; RFC 9113 §8.1.1 asks for exactly this answer.
      stream.close(constants.NGHTTP2_PROTOCOL_ERROR);
      return;
    }
    if (head === 'control') {
      this.#acceptControl(stream);
      return;
    }
    if (this.#link.draining) {
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    this.#link.track(stream);
    const incoming = new Http2IncomingStream(stream, head);
    if (this.#handler !== undefined) this.#handler.stream(incoming);
    else this.#waiting.push(incoming);
  }

  #acceptControl(stream: ServerHttp2Stream): void {
    if (this.#controlStream !== undefined) {
      stream.close(constants.NGHTTP2_PROTOCOL_ERROR);
      return;
    }
    this.#controlStream = stream;
    stream.respond([':status', '200']);
    this.#control.resolve(stream);
  }
}

class Http2IncomingStream implements IncomingStream {
  readonly head: RequestHead;
  readonly body: ServerHttp2Stream;
  #trailers: HeaderList = [];

  constructor(stream: ServerHttp2Stream, head: RequestHead) {
    this.body = stream;
    this.head = head;
    // Node resets a server's stream whose response ended before anything was read; a raw stream may be read later.
    if (head.kind === 'tcp' || head.kind === 'websocket') stream.read(0);
  }

  respond(head: ResponseHead, options?: { endStream?: boolean }): void {
    const { body } = this;
    if (body.destroyed || body.headersSent) return;
    const endStream = options?.endStream === true;
    // Trailers exist only where the length was not announced; waiting for them costs an extra event per stream.
    const raw = encodeResponseHead(head);
    if (!fitsPeer(raw))
      throw new PosternError('origin.failed', 'The headers of the response are too large to be passed on.');
    if (head.status > maxStatus)
      throw new PosternError('origin.failed', `The status ${head.status} of the response is none of HTTP.`);
    // An HTTP answer may be complete before the request is: then the edge is told to stop sending (RFC 9113 §8.1).
    if (this.head.kind === 'http' && this.head.bodyLength !== 0) body.once('finish', stopUnreadRequest);
    const waitForTrailers = !endStream && this.head.kind === 'http' && raw.length === 6;
    if (waitForTrailers) body.once('wantTrailers', () => body.sendTrailers(pairHeaders(this.#trailers)));
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

/** Not at once: nghttp2 drops the head of a stream that is reset before the head was flushed, at the end of this turn. */
function stopUnreadRequest(this: ServerHttp2Stream): void {
  if (!this.readableEnded) setImmediate(stopReceiving, this);
}

function stopReceiving(stream: ServerHttp2Stream): void {
  if (stream.readableEnded || stream.destroyed) return;
  stream.close(constants.NGHTTP2_NO_ERROR);
  // Node keeps a stream until its bytes were read, whoever wants them.
  stream.resume();
}
