// The transport seam: one connection between a connector and an edge, seen from either end. Interfaces only; the
// variants are http2/ and quic/, named in dial.ts and listen.ts, and all pass test/conformance/transport.
// Source: docs/protocol/edge-protocol.md §9 (QUIC) and §10 (HTTP/2).
//
// Rules every variant keeps:
// - A paused reader at one end stops the writer at the other. A FIN in one direction never ends the other.
// - `body` is a Duplex with allowHalfOpen: readable side = bytes from the peer, writable side = bytes to the peer.
//   It emits 'close' exactly once. After a reset by the peer or a lost connection 'close' comes without 'end' (an 'error'
//   may come first; its text differs between variants): whoever reads judges by whether 'end' came. stream.pipeline,
//   finished and async iteration judge by other events, and are not for bodies.
// - Header lists are flat arrays [name, value, name, value, …]; a name may repeat; no pseudo headers.

import type { Duplex } from 'node:stream';
import type { PosternError } from '../errors/error.ts';
import type { HeaderList } from '../net/http/header-list.ts';
import type { ReceiveBuffer } from '../net/linux/receive-buffer.ts';
import type { ForwardProxy } from '../net/proxy/forward-proxy.ts';
import type { FrameCounts, PathDetails } from '../quic/path-details.ts';
import type { SessionService } from '../rpc/connector-service.ts';
import type { RpcFigures } from '../telemetry/rpc-figures.ts';
import type { ConfigurationAnswer, PushedConfiguration } from '../wire/stream/configuration-request.ts';

export type Protocol = 'http2' | 'quic';

/** What a stream from the edge asks for. */
export type StreamKind = 'http' | 'websocket' | 'tcp';

/** Head of one request stream, the same on every transport. */
export interface RequestHead {
  readonly kind: StreamKind;
  readonly method: string;
  /** `http` or `https`: how the visitor came. */
  readonly scheme: string;
  /** Host of the request with optional port; selects the ingress rule. For `tcp`: `IP:port` (or `name:port` between our own ends). */
  readonly host: string;
  /** Path with query, begins with `/`; `*` of an OPTIONS about the server as a whole; `/` for `tcp`. */
  readonly path: string;
  readonly headers: HeaderList;
  /** `tcp` only: address of whoever connected, `ip:port`, for the log at the connector. */
  readonly source?: string;
  /** Length of the request body in bytes; 0 = no body; -1 = unknown (chunked), and for websocket and tcp. */
  readonly bodyLength: number;
}

export interface ResponseHead {
  /** Origin's status; 101 for an accepted upgrade on every transport (HTTP/2 maps it to 200 on the wire). */
  readonly status: number;
  readonly headers: HeaderList;
  /** Spans for the edge, as text; '' = none, and none that an origin made up either. Undefined where nobody traces. */
  readonly spans?: string | undefined;
}

/** Why the connector could not serve a stream; the edge answers the visitor with 502 (503 when rate limited). */
export interface StreamRefusal {
  readonly message: string;
  readonly rateLimited?: boolean;
  /** A private destination that refused the connection, as against one that could not be reached. */
  readonly dialRefused?: boolean;
}

/** One request stream at the connector's end. */
export interface IncomingStream {
  readonly head: RequestHead;
  /**
   * Request body in, response body out. Writable only after `respond`. Ending the writable side ends the response, and for
   * `http` what is left of the request once the response is out. An HTTP stream whose `head.bodyLength` is 0 closes after
   * its response without having been read.
   */
  readonly body: Duplex;
  /**
   * Send the response head, once. Throws 'origin.failed' for a head that the transport cannot carry; nothing was sent
   * then, and `refuse` still can tell the edge. `endStream` for responses without a body. `flush` false lets small
   * writes be gathered.
   */
  respond(head: ResponseHead, options?: { endStream?: boolean }): void;
  /**
   * Trailers to follow the body; call before `body.end()`. Returns false where none can follow: over QUIC to edges that are
   * not ours, and to requests without `TE: trailers`.
   */
  trailers(list: HeaderList): boolean;
  /** Before `respond`: tell the edge that this request failed here. After `respond`: resets the stream. */
  refuse(refusal: StreamRefusal): void;
  /** Abort both directions now. */
  reset(): void;
}

/** Receives what the edge opens. Methods must not throw. */
export interface ConnectorHandler {
  stream(incoming: IncomingStream): void;
  /** Applies a configuration that the edge pushed, when it is newer than the one in force. Must not reject. */
  configure(pushed: PushedConfiguration): Promise<ConfigurationAnswer>;
  /** UDP sessions of datagram v2, which the edge asks for by RPC (QUIC only). Undefined = refused. */
  readonly sessions?: SessionService | undefined;
  /** Counts the calls by RPC that come. */
  readonly rpcFigures?: RpcFigures | undefined;
}

/** Unreliable messages beside the streams (QUIC only). */
export interface DatagramChannel {
  /** Largest datagram that fits the path now, in bytes; changes with path MTU discovery. */
  readonly maxBytes: number;
  /**
   * Copies and queues the first `length` bytes (default: all); false when dropped (too large or queue full), which the
   * channel counts. Never throws, never waits.
   */
  send(datagram: Uint8Array, length?: number): boolean;
  /** Sets the one receiver. The view is valid only during the call: copy what must be kept. */
  receive(handler: (datagram: Uint8Array) => void): void;
  readonly dropped: { tooLarge: number; queueFull: number; receiveOverflow: number };
}

/** How a connection ended: `orderly` when either end closed it on purpose. */
export interface ConnectionEnd {
  readonly orderly: boolean;
  readonly error?: PosternError;
}

export type { FrameCounts, PathDetails };

export interface ConnectionStats {
  readonly protocol: Protocol;
  readonly openStreams: number;
  /** Negotiated TLS group, e.g. `X25519MLKEM768`, where known. */
  readonly group?: string | undefined;
  /** Smoothed on QUIC; of the last ping on HTTP/2. */
  readonly rttMs?: number | undefined;
  readonly minRttMs?: number | undefined;
  /** Bytes that may be under way; QUIC only, as what follows it. */
  readonly congestionWindow?: number | undefined;
  readonly lostPackets?: number | undefined;
  readonly sentPackets?: number | undefined;
  /** Largest UDP payload that passes. */
  readonly mtu?: number | undefined;
  /** Bytes, with all overhead of the transport. */
  readonly sentBytes?: number | undefined;
  readonly receivedBytes?: number | undefined;
}

/** What both ends of a connection have in common. */
interface Connection {
  readonly protocol: Protocol;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly datagrams: DatagramChannel | undefined;
  /** Open a raw RPC stream to the other end; undefined where the transport has none (HTTP/2). */
  readonly openRpc: (() => Promise<Duplex>) | undefined;
  /** Settles once, never rejects. */
  readonly closed: Promise<ConnectionEnd>;
  /** Request streams running now; the control stream does not count. */
  readonly openStreams: number;
  stats(): ConnectionStats;
  /** End in order: accept or open nothing more, let running streams finish (at most `timeoutMs`), then close. Never rejects. */
  drain(timeoutMs: number): Promise<void>;
  /** End now; running streams are reset. Idempotent. */
  abort(reason: PosternError): void;
}

/** The connector's end. Dialled by us; streams are opened by the edge. */
export interface ConnectorConnection extends Connection {
  /** UDP source port, on QUIC. */
  readonly localPort?: number;
  /** The control stream that carries the registration RPC; on HTTP/2 the edge opens it. Rejects if the connection ends first. */
  readonly control: Promise<Duplex>;
  /** Start delivering streams. Call once, before awaiting `control`; streams that arrived earlier are delivered then. */
  serve(handler: ConnectorHandler): void;
  /**
   * Settles (never rejects) when the edge announces that it opens no more streams here (HTTP/2 GOAWAY) while running ones
   * go on: the connector then dials a replacement at once. Undefined where the transport has no such announcement.
   */
  readonly goingAway?: Promise<void>;
  /** Figures for a scrape that cost more than `stats`; undefined when the connection is gone. QUIC only. */
  pathDetails?(): PathDetails | undefined;
  /** Of the socket, on QUIC. */
  readonly receiveBuffer?: ReceiveBuffer | undefined;
  /** Round trip to the edge in milliseconds; rejects 'connection.lost' when no answer came within `timeoutMs`. */
  ping?(timeoutMs: number): Promise<number>;
}

export interface EdgeResponse {
  readonly status: number;
  readonly headers: HeaderList;
  /** Spans that the connector says it recorded. */
  readonly spans?: string | undefined;
}

/** One request stream at the edge's end. */
export interface OutgoingStream {
  /** Request body out, response body in. Reading may begin before `response` settles, and yields only body bytes. */
  readonly body: Duplex;
  /**
   * Settles when the head arrives. Rejects with 'origin.unreachable' when the connector refused, 'flow.limit' when it is
   * at its flow limit, 'stream.reset' or 'connection.lost' when nothing of a response came.
   */
  readonly response: Promise<EdgeResponse>;
  /** Trailers, complete once `body` has ended; empty where none came. */
  readonly trailers: HeaderList;
  reset(): void;
}

/** The edge's end. Accepted by a listener; streams are opened by us. */
export interface EdgeConnection extends Connection {
  /** The control stream, open already. */
  readonly control: Duplex;
  /**
   * Open a request stream. Throws 'connection.closed' when draining or closed, 'flow.limit' when too many streams wait
   * for the peer to allow them.
   */
  request(head: RequestHead): OutgoingStream;
  /**
   * Pushes a configuration to the connector and settles with what the connector says of it. Rejects 'rpc.timeout' when it
   * said nothing in time, 'connection.closed', 'connection.lost' or 'stream.reset' when the way there is gone, and
   * 'rpc.exception', 'rpc.aborted', 'protocol.malformed' or 'protocol.too-large' for an answer that is none.
   */
  configure(pushed: PushedConfiguration, timeoutMs: number): Promise<ConfigurationAnswer>;
  /** Receives raw RPC streams that the connector opens (QUIC, datagram v2 only). */
  acceptRpc(handler: (stream: Duplex) => void): void;
  /** Round trip to the peer in milliseconds; rejects 'connection.lost' when no answer came within `timeoutMs`. */
  ping(timeoutMs: number): Promise<number>;
}

/** Accepts connections from connectors. */
export interface EdgeListener {
  readonly address: { readonly host: string; readonly port: number };
  /** Of the socket, on QUIC. */
  readonly receiveBuffer?: ReceiveBuffer;
  /** Stop accepting. Accepted connections live on. */
  close(): Promise<void>;
}

/** Where and how a connector dials. */
export interface DialOptions {
  readonly host: string;
  readonly port: number;
  /** PEM roots that replace the system's; undefined = system roots. */
  readonly ca: readonly string[] | undefined;
  /** Lower-case hex SHA-256 of the public key info (SPKI) of the CA that the presented chain must end in; replaces `ca`. */
  readonly caPin?: string | undefined;
  /** Name sent as SNI and verified: `h2.cftunnel.com`, `quic.cftunnel.com`. */
  readonly serverName: string;
  readonly localAddress?: string | undefined;
  /** HTTP/2 only: dialled through it; it resolves `host` when that is a name. */
  readonly proxy?: ForwardProxy | undefined;
  /** HTTP/2 only: visitors use this port too, so the dial names itself by ALPN. */
  readonly sharedPort?: boolean | undefined;
  /** QUIC only: UDP source port to use again; any port when it is taken. */
  readonly localPort?: number | undefined;
  /** Offer only post-quantum key exchange groups. */
  readonly postQuantum?: boolean;
  /** Limit for connect plus handshake. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}
