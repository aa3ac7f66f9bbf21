// The edge's end over QUIC: accepts connectors on one UDP port and opens a stream for every request.
// Source: docs/protocol/edge-protocol.md §9, §13.2. Peers that handshake and vanish are pre-checks, not errors (§13.3).

import type { Duplex } from 'node:stream';
import { PosternError } from '../../errors/error.ts';
import { formatHostPort, splitHostPort } from '../../net/address/host-port.ts';
import { type HeaderList, headerValue } from '../../net/http/header-list.ts';
import type { QuicConnection } from '../../quic/connection.ts';
import { QuicDuplex } from '../../quic/duplex.ts';
import { openEndpoint } from '../../quic/endpoint.ts';
import type { QuicStream } from '../../quic/stream.ts';
import { ConnectorClient } from '../../rpc/connector-client.ts';
import type { ConfigurationAnswer, PushedConfiguration } from '../../wire/stream/configuration-request.ts';
import type {
  ConnectionEnd,
  ConnectionStats,
  EdgeConnection,
  EdgeListener,
  OutgoingStream,
  RequestHead,
} from '../transport.ts';
import { type HeadSink, readHead } from './head-reader.ts';
import { ignore, QuicLink } from './link.ts';
import { QuicOutgoingStream } from './outgoing.ts';
import { alpn, edgeTuning, noCode, type QuicTuning } from './settings.ts';

export interface QuicListenOptions {
  readonly host: string;
  readonly port: number;
  /** PEM; the certificate carries its chain. */
  readonly key: string;
  readonly cert: string;
  /** Called for every connection whose handshake is done; the connection is the callee's to close. */
  readonly onConnection: (connection: EdgeConnection) => void;
  readonly postQuantum?: boolean;
  readonly tuning?: QuicTuning;
}

export interface QuicListener extends EdgeListener {
  /** Use another certificate for connections from now on. Throws 'tls.failed'; the old one stays then. */
  setCertificates(certificates: { readonly key: string; readonly cert: string }): void;
}

/** Listens for connectors. Throws 'listen.failed', 'tls.failed' (PEM texts) or 'unavailable' (no QUIC engine here). */
export function listenQuic(options: QuicListenOptions): QuicListener {
  const endpoint = openEndpoint(
    {
      bind: formatHostPort(options.host, options.port),
      alpn,
      identity: { cert: options.cert, key: options.key },
      postQuantum: options.postQuantum ?? false,
      tuning: { ...edgeTuning, ...options.tuning },
    },
    connection => options.onConnection(new QuicEdgeConnection(connection)),
  );
  return {
    address: splitHostPort(endpoint.address),
    receiveBuffer: endpoint.receiveBuffer,
    setCertificates: certificates => endpoint.setIdentity(certificates),
    close: () => {
      endpoint.retire();
      return Promise.resolve();
    },
  };
}

/** RFC 9110 §6.5.1: without this field nobody may count on trailers, and the body goes without frames. */
function takesTrailers(headers: HeaderList): boolean {
  return headerValue(headers, 'te') === 'trailers';
}

class QuicEdgeConnection implements EdgeConnection, HeadSink {
  readonly protocol = 'quic';
  /** Connectors open no request streams. */
  readonly takesRequests = false;
  readonly localAddress: string;
  readonly control: Duplex;
  readonly closed: Promise<ConnectionEnd>;
  readonly #connection: QuicConnection;
  readonly #link: QuicLink;
  #acceptRpc: ((stream: Duplex) => void) | undefined;
  #remoteAddress: string;

  constructor(connection: QuicConnection) {
    this.#connection = connection;
    this.localAddress = connection.localAddress;
    this.#remoteAddress = connection.remoteAddress;
    this.#link = new QuicLink(connection);
    this.closed = this.#link.closed;
    // Stream 0 appears with the connector's first bytes on it; until then this waits.
    this.control = new QuicDuplex(connection.expectStream(), { onStop: 'reset' }).on('error', ignore);
    this.#link.start(stream => readHead(stream, this));
  }

  /** The connector's address now: it moves when its NAT does. The last one once the connection is gone. */
  get remoteAddress(): string {
    this.#remoteAddress = this.#connection.remoteAddress || this.#remoteAddress;
    return this.#remoteAddress;
  }

  get datagrams() {
    return this.#link.datagrams;
  }

  get openStreams(): number {
    return this.#link.openStreams;
  }

  get openRpc() {
    return this.#link.openRpc;
  }

  request(head: RequestHead): OutgoingStream {
    const { kind } = head;
    if (this.#link.draining) throw new PosternError('connection.closed', 'This connection takes no new requests.');
    const wire =
      kind === 'http'
        ? { ...head, kind, takesFrames: takesTrailers(head.headers) }
        : { ...head, kind, halfClose: true };
    return new QuicOutgoingStream(this.#connection.openStream(), wire, this.#link);
  }

  async configure({ version, json }: PushedConfiguration, timeoutMs: number): Promise<ConfigurationAnswer> {
    if (this.#link.draining) throw new PosternError('connection.closed', 'This connection takes no new requests.');
    const client = new ConnectorClient(await this.openRpc(), { timeoutMs });
    try {
      const result = await client.updateConfiguration({ version, config: Buffer.from(json) });
      return { version: result.latestAppliedVersion, error: result.error === '' ? undefined : result.error };
    } finally {
      client.close();
    }
  }

  acceptRpc(handler: (stream: Duplex) => void): void {
    this.#acceptRpc = handler;
  }

  onRequest(stream: QuicStream): void {
    this.onBadHead(stream);
  }

  onRpc(stream: QuicStream, rest: Buffer): void {
    if (this.#acceptRpc === undefined) {
      this.onBadHead(stream);
      return;
    }
    this.#acceptRpc(new QuicDuplex(stream, { leading: rest, onStop: 'reset' }).on('error', ignore));
  }

  onBadHead(stream: QuicStream): void {
    stream.reset(noCode);
    stream.stop(noCode);
  }

  ping(timeoutMs: number): Promise<number> {
    return this.#link.ping(timeoutMs);
  }

  stats(): ConnectionStats {
    return this.#link.stats();
  }

  drain(timeoutMs: number): Promise<void> {
    return this.#link.drain(this.control, timeoutMs);
  }

  abort(reason: PosternError): void {
    this.#link.abort(reason);
  }
}
