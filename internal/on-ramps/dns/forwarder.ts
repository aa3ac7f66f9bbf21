// The DNS on-ramp of a virtual network: a UDP and TCP listener whose queries go to the network's resolver through the
// tunnel. It has no authentication, as DNS has none: who can reach the listener may ask. Source: RFC 1035 §4.2, RFC 7766;
// issue "private networks" point 5.

import type { RemoteInfo, Socket as UdpSocket } from 'node:dgram';
import type { Socket } from 'node:net';
import { describeError, isPosternError } from '../../errors/error.ts';
import { plainAddress } from '../../net/address/ip.ts';
import { AddressLimiter, type AddressLimits } from '../../net/limits/address-limiter.ts';
import { countedAddress } from '../../net/limits/rate-limiter.ts';
import { encodeFailure, readQuery, responseCode } from '../../private-network/dns/message.ts';
import { DnsUpstream, type Resolver } from '../../private-network/dns/upstream.ts';
import type { PrivateNetwork } from '../../private-network/private-network.ts';
import type { Visitor } from '../../private-network/visitor.ts';
import type { NetworkRecord } from '../../store/contract/records.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { openBoundSocket } from '../bound-socket.ts';
import { joinFlow } from '../join-flow.ts';
import { handshakeLimits, type ListenOptions, listenFailed, openListener, type TcpListener } from '../listener.ts';

export interface DnsForwarderOptions extends ListenOptions {
  readonly network: PrivateNetwork;
  /** The virtual network, asked for each client: it may be made, renamed or deleted while this runs. */
  readonly vnet: () => NetworkRecord | undefined;
  readonly resolver: Resolver;
  readonly logger: Logger;
  /** Of TCP clients that have said nothing yet. Default: `handshakeLimits`. */
  readonly handshakeLimits?: AddressLimits;
}

export interface DnsForwarder {
  /** Of both UDP and TCP. */
  readonly port: number;
  readonly counters: DnsCounters;
  /** Takes no more queries; answers still to come are given. Idempotent. */
  stop(): void;
  close(): Promise<void>;
}

export interface DnsCounters {
  queries: number;
  answered: number;
  /** Answered with an error of our own: no way to the resolver. */
  failed: number;
  /** Not a query, too many clients or queries, no answer in time, or the answer could not be sent. */
  dropped: number;
}

/** Clients (addresses) with a flow at once; beyond them queries are dropped until a flow idles out. */
const maxClients = 4_096;
/** Answers waiting in user space. */
const sendQueueLimit = 1_024;
/** A TCP client that says nothing for so long is cut (RFC 7766 §6.2.3 leaves the time to the server). */
const tcpIdleMs = 30_000;

/** Ports tried where any will do: the one that TCP was given may be taken for UDP. */
const portTries = 10;

/** Listens on UDP and TCP, on one port number. Throws 'listen.failed'. */
export async function openDnsForwarder(options: DnsForwarderOptions): Promise<DnsForwarder> {
  const silent = new AddressLimiter(options.handshakeLimits ?? handshakeLimits);
  for (let tries = options.port === 0 ? portTries : 1; ; tries -= 1) {
    const tcp = await openListener(options, socket => {
      const leave = silent.admit(countedAddress(socket.remoteAddress ?? ''));
      if (leave === undefined) socket.destroy();
      else void serveTcp(socket, options, leave);
    });
    try {
      return new Forwarder(tcp, await UdpForwarder.open(options, tcp.port));
    } catch (error) {
      await tcp.close();
      if (tries === 1) throw error;
    }
  }
}

class Forwarder implements DnsForwarder {
  readonly port: number;
  readonly counters: DnsCounters;
  readonly #tcp: TcpListener;
  readonly #udp: UdpForwarder;

  constructor(tcp: TcpListener, udp: UdpForwarder) {
    this.port = tcp.port;
    this.counters = udp.counters;
    this.#tcp = tcp;
    this.#udp = udp;
  }

  stop(): void {
    this.#tcp.stop();
    this.#udp.stop();
  }

  async close(): Promise<void> {
    this.#udp.close();
    await this.#tcp.close();
  }
}

class UdpForwarder {
  readonly counters: DnsCounters = { queries: 0, answered: 0, failed: 0, dropped: 0 };
  readonly #options: DnsForwarderOptions;
  readonly #socket: UdpSocket;
  /** By client address. */
  readonly #clients = new Map<string, DnsUpstream>();
  #stopped = false;
  #closed = false;

  private constructor(options: DnsForwarderOptions, socket: UdpSocket) {
    this.#options = options;
    this.#socket = socket;
    socket.on('message', (message, from) => this.#query(message, from));
    // About single answers whose client has gone.
    socket.on('error', () => {
      this.counters.dropped += 1;
    });
  }

  static async open(options: DnsForwarderOptions, port: number): Promise<UdpForwarder> {
    let socket: UdpSocket;
    try {
      socket = await openBoundSocket(options.host, port);
    } catch (error) {
      throw listenFailed({ host: options.host, port }, error);
    }
    return new UdpForwarder(options, socket);
  }

  stop(): void {
    this.#stopped = true;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const upstream of this.#clients.values()) upstream.close();
    this.#socket.close();
  }

  #query(message: Buffer, from: RemoteInfo): void {
    this.counters.queries += 1;
    const layout = readQuery(message);
    // UDP may come from port 0 (RFC 768), where nothing can be sent: Node would throw.
    if (layout === undefined || this.#stopped || from.port === 0) {
      this.counters.dropped += 1;
      return;
    }
    // Before the query is changed: a failure is answered with what came.
    const failure = (code: number): Uint8Array => encodeFailure(message, layout, code);
    const upstream = this.#upstream(from);
    if (upstream === 'full') {
      this.counters.dropped += 1;
      return;
    }
    if (upstream === undefined) {
      this.counters.failed += 1;
      this.#send(failure(responseCode.refused), from);
      return;
    }
    const refusal = failure(responseCode.serverFailure);
    upstream.ask(message, layout, outcome => {
      if (outcome.kind === 'answered') {
        this.counters.answered += 1;
        this.#send(outcome.message, from);
      } else if (outcome.kind === 'failed') {
        this.counters.failed += 1;
        this.#send(refusal, from);
      } else this.counters.dropped += 1;
    });
  }

  /** The client's flow; undefined where the network does not allow one. */
  #upstream({ address, port }: RemoteInfo): DnsUpstream | 'full' | undefined {
    const present = this.#clients.get(address);
    if (present !== undefined) return present;
    if (this.#clients.size >= maxClients) return 'full';
    const visitor = visitorOf(this.#options, address, port);
    if (visitor === undefined) return undefined;
    const { network, resolver } = this.#options;
    try {
      const upstream = new DnsUpstream(
        (idleMs, events) => network.openUdp(visitor, resolver.host, resolver.port, idleMs, events),
        () => this.#clients.delete(address),
      );
      this.#clients.set(address, upstream);
      return upstream;
    } catch (error) {
      if (!isPosternError(error, 'flow.denied') && !isPosternError(error, 'flow.limit')) throw error;
      // The tracker has been told why.
      return undefined;
    }
  }

  #send(message: Uint8Array, { address, port }: RemoteInfo): void {
    if (this.#closed) return;
    if (this.#socket.getSendQueueCount() >= sendQueueLimit) {
      this.counters.dropped += 1;
      return;
    }
    // A copy: the flow's view is valid only now.
    this.#socket.send(Buffer.from(message), port, address, this.#sent);
  }

  readonly #sent = (error: Error | null): void => {
    if (error !== null) this.counters.dropped += 1;
  };
}

/**
 * TCP goes as it is: length-prefixed messages in both directions, over a stream of its own, opened when the client has said
 * something, which is when `heard` is called. Never rejects.
 */
async function serveTcp(socket: Socket, options: DnsForwarderOptions, heard: () => void): Promise<void> {
  const { network, resolver, logger } = options;
  socket.setTimeout(tcpIdleMs, () => socket.destroy());
  try {
    await new Promise<void>(resolve => {
      socket.once('readable', resolve).once('close', resolve);
    });
    heard();
    const visitor = visitorOf(options, socket.remoteAddress, socket.remotePort ?? 0);
    // Nothing to read: it has ended.
    if (visitor === undefined || socket.readableLength === 0) socket.destroy();
    else joinFlow(socket, await network.openTcp(visitor, resolver.host, resolver.port, socket));
  } catch (error) {
    logger.debug({ src: socket.remoteAddress, error: describeError(error) }, 'DNS client over TCP not served');
    socket.destroy();
  }
}

function visitorOf(options: DnsForwarderOptions, address: string | undefined, port: number): Visitor | undefined {
  const network = options.vnet();
  if (network === undefined) return undefined;
  return { onRamp: 'dns', network, sourceAddress: plainAddress(address), sourcePort: port };
}
