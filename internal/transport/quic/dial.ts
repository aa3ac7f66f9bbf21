// The connector's end over QUIC: we dial, open stream 0 for control, and answer the streams that the edge opens.
// Source: docs/protocol/edge-protocol.md §4.5, §5, §9.

import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { PosternError } from '../../errors/error.ts';
import { formatHostPort, hostOf, splitHostPort } from '../../net/address/host-port.ts';
import { hostAddresses } from '../../net/address/lookup-host.ts';
import type { ReceiveBuffer } from '../../net/linux/receive-buffer.ts';
import { systemRoots } from '../../net/trust/system-roots.ts';
import type { QuicConnection } from '../../quic/connection.ts';
import { QuicDuplex } from '../../quic/duplex.ts';
import { openEndpoint, type QuicEndpoint } from '../../quic/endpoint.ts';
import type { PathDetails } from '../../quic/path-details.ts';
import type { QuicStream } from '../../quic/stream.ts';
import { decodeRequestHead, encodeRefusalHead } from '../../wire/stream/stream-head.ts';
import { serveRpc } from '../serve-rpc.ts';
import type {
  ConnectionEnd,
  ConnectionStats,
  ConnectorConnection,
  ConnectorHandler,
  DialOptions,
} from '../transport.ts';
import { type HeadSink, readHead } from './head-reader.ts';
import { QuicIncomingStream } from './incoming.ts';
import { ignore, QuicLink } from './link.ts';
import { alpn, connectorTuning, noCode, type QuicTuning, refusedCode } from './settings.ts';

export interface QuicDialOptions extends DialOptions {
  readonly tuning?: QuicTuning;
}

/** A dialled connection with the UDP port it left from. */
export type QuicConnector = ConnectorConnection & { readonly localPort: number };

/**
 * Dials an edge. Throws 'dial.failed', 'dial.timeout', 'tls.failed', 'listen.failed' (local address) or 'unavailable'
 * (no QUIC engine here). The connection is the caller's to close.
 */
export async function dialQuic(options: QuicDialOptions): Promise<QuicConnector> {
  const deadline = performance.now() + options.timeoutMs;
  const address = await resolve(options.host);
  const endpoint = openLocal(options, isIP(address));
  try {
    const connection = await endpoint.connect({
      address,
      port: options.port,
      serverName: options.serverName,
      timeoutMs: Math.max(1, deadline - performance.now()),
      signal: options.signal,
    });
    return new QuicConnectorConnection(endpoint, connection);
  } catch (error) {
    await endpoint.close();
    throw error;
  }
}

async function resolve(host: string): Promise<string> {
  if (isIP(host) !== 0) return host;
  try {
    return (await hostAddresses(host))[0] ?? host;
  } catch (error) {
    throw new PosternError(
      'dial.failed',
      `The edge's name ${host} cannot be resolved; check the name and the resolver.`,
      {
        cause: error,
      },
    );
  }
}

function openLocal(options: QuicDialOptions, family: number): QuicEndpoint {
  const ip = options.localAddress ?? (family === 6 ? '::' : '0.0.0.0');
  const open = (port: number): QuicEndpoint =>
    openEndpoint({
      bind: formatHostPort(ip, port),
      alpn,
      ...(options.caPin === undefined ? { roots: options.ca ?? systemRoots() } : { caPin: options.caPin }),
      postQuantum: options.postQuantum ?? false,
      tuning: { ...connectorTuning, ...options.tuning },
    });
  if (options.localPort === undefined) return open(0);
  try {
    return open(options.localPort);
  } catch (error) {
    if (!(error instanceof PosternError) || error.code !== 'listen.failed') throw error;
    // The port is taken by now: any other will do.
    return open(0);
  }
}

class QuicConnectorConnection implements ConnectorConnection, HeadSink {
  readonly protocol = 'quic';
  readonly takesRequests = true;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly receiveBuffer: ReceiveBuffer;
  readonly control: Promise<Duplex>;
  readonly closed: Promise<ConnectionEnd>;
  readonly #connection: QuicConnection;
  readonly #link: QuicLink;
  readonly #control: QuicDuplex;
  #localAddress = '';
  readonly #waiting: ((handler: ConnectorHandler) => void)[] = [];
  #handler: ConnectorHandler | undefined;

  constructor(endpoint: QuicEndpoint, connection: QuicConnection) {
    this.#connection = connection;
    this.localPort = splitHostPort(connection.localAddress).port;
    this.remoteAddress = connection.remoteAddress;
    this.receiveBuffer = endpoint.receiveBuffer;
    this.#link = new QuicLink(connection);
    this.closed = this.#link.closed;
    this.#control = new QuicDuplex(connection.openStream(), { onStop: 'reset' });
    this.#control.on('error', ignore);
    this.control = Promise.resolve(this.#control);
    this.#link.start(stream => readHead(stream, this));
    void this.closed.then(() => endpoint.close());
  }

  /** Known once a packet came to it; another one after the machine changed its network. The last one when closed. */
  get localAddress(): string {
    const { localAddress } = this.#connection;
    if (localAddress !== '') this.#localAddress = hostOf(localAddress);
    return this.#localAddress;
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

  serve(handler: ConnectorHandler): void {
    this.#handler = handler;
    for (const deliver of this.#waiting.splice(0)) deliver(handler);
  }

  onRequest(stream: QuicStream, bytes: Buffer, length: number): void {
    if (this.#link.draining) {
      stream.reset(refusedCode);
      stream.stop(refusedCode);
      return;
    }
    let incoming: QuicIncomingStream;
    try {
      incoming = new QuicIncomingStream(stream, decodeRequestHead(bytes, length), bytes.subarray(length));
    } catch (error) {
      this.#answerBadHead(stream, error as PosternError);
      return;
    }
    this.#link.track(incoming.body);
    if (this.#handler !== undefined) this.#handler.stream(incoming);
    else this.#waiting.push(handler => handler.stream(incoming));
  }

  onRpc(stream: QuicStream, rest: Buffer): void {
    const duplex = new QuicDuplex(stream, { leading: rest, onStop: 'reset' });
    duplex.on('error', ignore);
    if (this.#handler !== undefined) serveRpc(duplex, this.#handler);
    else this.#waiting.push(handler => serveRpc(duplex, handler));
  }

  /** No known signature, or a head that never came: the stream is not of this protocol (docs/protocol/edge-protocol.md §9.2). */
  onBadHead(stream: QuicStream): void {
    stream.reset(noCode);
    stream.stop(noCode);
  }

  /** A request that cannot be understood is answered with the reason (docs/protocol/edge-protocol.md §9.3.3). */
  #answerBadHead(stream: QuicStream, error: PosternError): void {
    const duplex = new QuicDuplex(stream, { onStop: 'reset' });
    duplex.on('error', ignore);
    duplex.sendHead(encodeRefusalHead({ message: error.message }), true);
    duplex.end(() => duplex.destroy());
  }

  ping(timeoutMs: number): Promise<number> {
    return this.#link.ping(timeoutMs);
  }

  stats(): ConnectionStats {
    return this.#link.stats();
  }

  pathDetails(): PathDetails | undefined {
    return this.#connection.pathDetails();
  }

  drain(timeoutMs: number): Promise<void> {
    return this.#link.drain(this.#control, timeoutMs);
  }

  abort(reason: PosternError): void {
    this.#link.abort(reason);
  }
}
