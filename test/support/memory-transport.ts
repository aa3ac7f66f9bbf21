// Both ends of a connection inside one process, for tests of what stands above the transport. It keeps the seam's
// contract (back-pressure, half-close, resets, drain) and passes the same conformance suite as the real ones.

import { type Duplex, duplexPair } from 'node:stream';
import { PosternError } from '../../internal/errors/error.ts';
import type { HeaderList } from '../../internal/net/http/header-list.ts';
import { OpenStreams } from '../../internal/transport/open-streams.ts';
import { serveRpc } from '../../internal/transport/serve-rpc.ts';
import type {
  ConnectionEnd,
  ConnectionStats,
  ConnectorConnection,
  ConnectorHandler,
  DatagramChannel,
  EdgeConnection,
  EdgeResponse,
  IncomingStream,
  OutgoingStream,
  RequestHead,
  ResponseHead,
  StreamRefusal,
} from '../../internal/transport/transport.ts';
import type { ConfigurationAnswer, PushedConfiguration } from '../../internal/wire/stream/configuration-request.ts';
import { withoutProtocolHeaders } from '../../internal/wire/stream/response-headers.ts';

export interface MemoryPair {
  readonly edge: EdgeConnection;
  readonly connector: ConnectorConnection;
}

/** Bytes that one direction of a stream may hold before its writer must wait. */
const streamBufferBytes = 64 * 1024;
/** Datagrams that may wait for delivery, as in the recorded connector's incoming queue. */
const datagramQueue = 128;
const maxDatagramBytes = 1_350;

/** Opens a connected pair with its control stream. Nothing needs closing but what the caller opened on it. */
export function openMemoryPair(): MemoryPair {
  const link = new MemoryLink();
  const [edgeControl, connectorControl] = openDuplexPair();
  const [edgeDatagrams, connectorDatagrams] = datagramPair();
  link.onEnd(() => {
    edgeControl.destroy();
    connectorControl.destroy();
  });
  return {
    edge: new MemoryEdge(link, edgeControl, edgeDatagrams),
    connector: new MemoryConnector(link, connectorControl, connectorDatagrams),
  };
}

function openDuplexPair(): [Duplex, Duplex] {
  const [left, right] = duplexPair({ highWaterMark: streamBufferBytes });
  // A duplex pair does not tell one side that the other was destroyed before it ended.
  for (const [side, other] of [
    [left, right],
    [right, left],
  ] as const) {
    side.on('error', () => undefined);
    side.once('close', () => {
      if (!(side.readableEnded && side.writableFinished))
        other.destroy(new PosternError('stream.reset', 'The stream was reset.'));
    });
  }
  return [left, right];
}

/** State that both ends share: open streams, the handler, and how it ended. */
class MemoryLink {
  readonly closed: Promise<ConnectionEnd>;
  handler: ConnectorHandler | undefined;
  edgeRpc: ((stream: Duplex) => void) | undefined;
  readonly waiting: ((handler: ConnectorHandler) => void)[] = [];
  draining = false;
  readonly #streams = new OpenStreams();
  readonly #ended = Promise.withResolvers<ConnectionEnd>();
  readonly #endings: (() => void)[] = [];
  #over = false;

  constructor() {
    this.closed = this.#ended.promise;
  }

  get openStreams(): number {
    return this.#streams.count;
  }

  /** Now, or when the connector begins to serve. */
  served(deliver: (handler: ConnectorHandler) => void): void {
    if (this.handler === undefined) this.waiting.push(deliver);
    else deliver(this.handler);
  }

  onEnd(action: () => void): void {
    this.#endings.push(action);
  }

  track(stream: Duplex): void {
    this.#streams.opened();
    this.onEnd(() => stream.destroy());
    stream.once('close', this.#streams.closed);
  }

  end(end: ConnectionEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.draining = true;
    for (const action of this.#endings) action();
    this.#streams.stop();
    this.#ended.resolve(end);
  }

  async drain(timeoutMs: number): Promise<void> {
    this.draining = true;
    await this.#streams.untilNone(timeoutMs);
    this.end({ orderly: true });
  }

  stats(): ConnectionStats {
    return { protocol: 'quic', openStreams: this.openStreams };
  }
}

abstract class MemoryEnd {
  /** It stands in for QUIC: it carries datagrams. */
  readonly protocol = 'quic';
  readonly localAddress = 'memory';
  readonly remoteAddress = 'memory';
  readonly datagrams: DatagramChannel;
  readonly closed: Promise<ConnectionEnd>;
  protected readonly link: MemoryLink;

  constructor(link: MemoryLink, datagrams: DatagramChannel) {
    this.link = link;
    this.datagrams = datagrams;
    this.closed = link.closed;
  }

  get openStreams(): number {
    return this.link.openStreams;
  }

  stats(): ConnectionStats {
    return this.link.stats();
  }

  drain(timeoutMs: number): Promise<void> {
    return this.link.drain(timeoutMs);
  }

  abort(reason: PosternError): void {
    this.link.end({ orderly: false, error: reason });
  }

  ping(): Promise<number> {
    if (this.link.draining) return Promise.reject(new PosternError('connection.lost', 'The connection has ended.'));
    return Promise.resolve(0);
  }
}

class MemoryConnector extends MemoryEnd implements ConnectorConnection {
  readonly control: Promise<Duplex>;
  readonly openRpc = (): Promise<Duplex> => {
    const [ours, theirs] = openDuplexPair();
    this.link.track(ours);
    this.link.edgeRpc?.(theirs);
    return Promise.resolve(ours);
  };

  constructor(link: MemoryLink, control: Duplex, datagrams: DatagramChannel) {
    super(link, datagrams);
    this.control = Promise.resolve(control);
  }

  serve(handler: ConnectorHandler): void {
    this.link.handler = handler;
    for (const deliver of this.link.waiting.splice(0)) deliver(handler);
  }
}

class MemoryEdge extends MemoryEnd implements EdgeConnection {
  readonly control: Duplex;
  readonly openRpc = (): Promise<Duplex> => {
    const [ours, theirs] = openDuplexPair();
    this.link.track(ours);
    this.link.served(handler => serveRpc(theirs, handler));
    return Promise.resolve(ours);
  };

  constructor(link: MemoryLink, control: Duplex, datagrams: DatagramChannel) {
    super(link, datagrams);
    this.control = control;
  }

  acceptRpc(handler: (stream: Duplex) => void): void {
    this.link.edgeRpc = handler;
  }

  request(head: RequestHead): OutgoingStream {
    if (this.link.draining) throw new PosternError('connection.closed', 'This connection takes no new requests.');
    const [ours, theirs] = openDuplexPair();
    if (head.bodyLength === 0) {
      ours.end();
      theirs.resume();
    }
    this.link.track(ours);
    const outgoing = new MemoryOutgoing(ours, theirs);
    const incoming = new MemoryIncoming(head, theirs, outgoing);
    // As on a network, the peer sees the request only after the caller went on.
    setImmediate(() => this.link.served(handler => handler.stream(incoming)));
    return outgoing;
  }

  configure(pushed: PushedConfiguration, timeoutMs: number): Promise<ConfigurationAnswer> {
    if (this.link.draining)
      return Promise.reject(new PosternError('connection.closed', 'This connection takes no new requests.'));
    return new Promise((resolve, reject) => {
      const late = new PosternError('rpc.timeout', `The connector did not answer within ${timeoutMs} ms.`);
      const timer = setTimeout(() => reject(late), timeoutMs);
      this.link.onEnd(() => {
        clearTimeout(timer);
        reject(new PosternError('connection.lost', 'The connection ended before the connector answered.'));
      });
      setImmediate(() =>
        this.link.served(handler =>
          handler.configure(pushed).then(answer => {
            clearTimeout(timer);
            resolve(answer);
          }, reject),
        ),
      );
    });
  }
}

class MemoryOutgoing implements OutgoingStream {
  readonly body: Duplex;
  readonly response: Promise<EdgeResponse>;
  trailers: HeaderList = [];
  readonly settle = Promise.withResolvers<EdgeResponse>();
  readonly #peer: Duplex;

  constructor(body: Duplex, peer: Duplex) {
    this.body = body;
    this.#peer = peer;
    this.response = this.settle.promise;
    this.response.catch(() => undefined);
    body.once('close', () =>
      this.settle.reject(new PosternError('stream.reset', 'The connector ended the stream before it answered.')),
    );
  }

  reset(): void {
    // With an error, because Node emits 'end' on a side whose peer was merely destroyed.
    const reason = new PosternError('stream.reset', 'The stream was reset.');
    this.trailers = [];
    this.body.destroy(reason);
    this.#peer.destroy(reason);
  }
}

class MemoryIncoming implements IncomingStream {
  readonly head: RequestHead;
  readonly body: Duplex;
  readonly #outgoing: MemoryOutgoing;
  #responded = false;

  constructor(head: RequestHead, body: Duplex, outgoing: MemoryOutgoing) {
    this.head = head;
    this.body = body;
    this.#outgoing = outgoing;
  }

  respond(head: ResponseHead, options?: { endStream?: boolean }): void {
    if (this.#responded || this.body.destroyed) return;
    this.#responded = true;
    if (this.head.kind === 'http' && this.head.bodyLength !== 0)
      this.body.once('finish', () => this.#stopUnreadRequest());
    this.#outgoing.settle.resolve({
      status: head.status,
      headers: withoutProtocolHeaders(head.headers),
      spans: head.spans === '' ? undefined : head.spans,
    });
    if (options?.endStream === true) this.body.end();
  }

  trailers(list: HeaderList): boolean {
    this.#outgoing.trailers = list;
    return true;
  }

  refuse(refusal: StreamRefusal): void {
    if (this.#responded) {
      this.reset();
      return;
    }
    this.#responded = true;
    const failed = refusal.dialRefused === true ? 'origin.refused' : 'origin.unreachable';
    const code = refusal.rateLimited === true ? 'flow.limit' : failed;
    this.#outgoing.settle.reject(
      new PosternError(code, 'The connector could not serve the request; its log names the cause.'),
    );
    this.#outgoing.reset();
  }

  reset(): void {
    this.#outgoing.reset();
  }

  /** The response is complete: what is still to come of the request is not wanted, but the response must arrive whole. */
  #stopUnreadRequest(): void {
    const { body } = this.#outgoing;
    if (!this.body.readableEnded) this.body.resume();
    // The response has been read to its end by now, or is about to be.
    if (body.readableEnded) body.destroy();
    else body.once('end', () => body.destroy());
  }
}

function datagramPair(): [DatagramChannel, DatagramChannel] {
  const left = new MemoryDatagrams();
  const right = new MemoryDatagrams();
  left.peer = right;
  right.peer = left;
  return [left, right];
}

class MemoryDatagrams implements DatagramChannel {
  readonly maxBytes = maxDatagramBytes;
  readonly dropped = { tooLarge: 0, queueFull: 0, receiveOverflow: 0 };
  peer: MemoryDatagrams | undefined;
  #handler: ((datagram: Uint8Array) => void) | undefined;
  #queue: Uint8Array[] = [];

  send(datagram: Uint8Array, length = datagram.length): boolean {
    if (length > this.maxBytes) {
      this.dropped.tooLarge += 1;
      return false;
    }
    const { peer } = this;
    if (peer === undefined || peer.#queue.length >= datagramQueue) {
      this.dropped.queueFull += 1;
      return false;
    }
    peer.#queue.push(datagram.slice(0, length));
    if (peer.#queue.length === 1) setImmediate(() => peer.#deliver());
    return true;
  }

  receive(handler: (datagram: Uint8Array) => void): void {
    this.#handler = handler;
  }

  #deliver(): void {
    const batch = this.#queue;
    this.#queue = [];
    if (this.#handler === undefined) {
      this.dropped.receiveOverflow += batch.length;
      return;
    }
    for (const datagram of batch) this.#handler(datagram);
  }
}
