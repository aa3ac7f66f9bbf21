// The DNS on-ramp of a virtual network: a UDP and TCP listener whose queries go to the network's resolver through the
// tunnel. It has no authentication, as DNS has none: who can reach the listener may ask. Every query gets
// an answer, a failure if need be: a silent server makes its clients wait. Source: RFC 1035 §4.2, RFC 7766.

import type { Socket } from 'node:net';
import { describeError, isPosternError, PosternError } from '../../errors/error.ts';
import { plainAddress } from '../../net/address/ip.ts';
import { AddressLimiter, type AddressLimits } from '../../net/limits/address-limiter.ts';
import { countedAddress } from '../../net/limits/rate-limiter.ts';
import { readExactly } from '../../net/stream/read-exactly.ts';
import {
  answersQuestion,
  encodeFailure,
  encodeTruncated,
  type QueryLayout,
  questionOf,
  readId,
  readQuery,
  responseCode,
  udpSizeOf,
  writeId,
} from '../../private-network/dns/message.ts';
import { DnsUpstream, type Resolver } from '../../private-network/dns/upstream.ts';
import { askOverTcp } from '../../private-network/names/tcp-query.ts';
import type { PrivateNetwork } from '../../private-network/private-network.ts';
import type { Visitor } from '../../private-network/visitor.ts';
import type { NetworkRecord } from '../../store/contract/records.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { joinFlow } from '../entrance/join-flow.ts';
import { handshakeLimits, type ListenOptions, openListener, type TcpListener } from '../entrance/listener.ts';
import { openUdpListener, type UdpClient, type UdpListener } from '../entrance/udp-listener.ts';

export interface DnsForwarderOptions extends ListenOptions {
  readonly network: PrivateNetwork;
  /** The virtual network, asked for each client: it may be made, renamed or deleted while this runs. */
  readonly vnet: () => NetworkRecord | undefined;
  readonly resolver: Resolver;
  readonly logger: Logger;
  /** Of TCP clients that have said nothing yet. Default: `handshakeLimits`. */
  readonly handshakeLimits?: AddressLimits;
  /** Addresses of this machine, for a listener on all of them. Default: those of its interfaces. */
  readonly addresses?: () => readonly string[];
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
  /** Answered with an error of our own: no way to the resolver, no answer in time, or too many queries. */
  failed: number;
  /** Not a query, or the answer could not be sent. */
  dropped: number;
}

/** Clients (addresses, IPv6 by /64) with a flow at once; a further one takes the place of that idle longest. */
export const maxClients = 4_096;
/** Queries of all clients that wait for an answer at once, some 20 MiB of them; more are refused. */
export const maxWaiting = 16_384;
/** Of them, those asked over TCP, each a stream of the tunnel. */
export const maxOverTcp = 256;
/** How long such a question may take: the client has waited already, and gives up after 5 s. */
const overTcpMs = 4_000;
/** A TCP client that says nothing for so long is cut (RFC 7766 §6.2.3 leaves the time to the server). */
const tcpIdleMs = 30_000;

/** Ports tried where any will do: the one that TCP was given may be taken for UDP. */
const portTries = 10;

/** Listens on UDP and TCP, on one port number. Throws 'listen.failed'. */
export async function openDnsForwarder(options: DnsForwarderOptions): Promise<DnsForwarder> {
  const silent = new AddressLimiter(options.handshakeLimits ?? handshakeLimits);
  for (let tries = options.port === 0 ? portTries : 1; ; tries -= 1) {
    const tcp = await openListener(options, socket => {
      const leave = silent.admit(socket.remoteAddress);
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
  #listener: UdpListener | undefined;
  /** By counted address of the client, in the order of last use. */
  readonly #clients = new Map<string, DnsUpstream>();
  /** Ends questions over TCP when this closes. */
  readonly #abort = new AbortController();
  #waiting = 0;
  #overTcp = 0;
  #stopped = false;

  private constructor(options: DnsForwarderOptions) {
    this.#options = options;
  }

  static async open(options: DnsForwarderOptions, port: number): Promise<UdpForwarder> {
    const forwarder = new UdpForwarder(options);
    const { host, logger, addresses } = options;
    forwarder.#listener = await openUdpListener(
      { host, port, logger, addresses },
      {
        message: (message, from) => forwarder.#query(message, from),
        lost: () => {
          forwarder.counters.dropped += 1;
        },
      },
    );
    return forwarder;
  }

  stop(): void {
    this.#stopped = true;
  }

  close(): void {
    this.#stopped = true;
    this.#abort.abort();
    for (const upstream of this.#clients.values()) upstream.close();
    this.#listener?.close();
    this.#listener = undefined;
  }

  #query(message: Buffer, from: UdpClient): void {
    this.counters.queries += 1;
    const layout = readQuery(message);
    // UDP may come from port 0 (RFC 768), where nothing can be sent: Node would throw.
    if (layout === undefined || this.#stopped || from.port === 0) {
      this.counters.dropped += 1;
      return;
    }
    // Before the query is changed: a failure is answered with what came.
    const query: Query = { message, layout, from, id: readId(message), udpSize: udpSizeOf(message, layout) };
    const upstream = this.#upstream(from);
    if (upstream === undefined) {
      this.#fail(query, responseCode.refused);
      return;
    }
    if (this.#waiting >= maxWaiting) {
      this.#fail(query, responseCode.serverFailure);
      return;
    }
    this.#waiting += 1;
    upstream.ask(message, layout, outcome => {
      this.#waiting -= 1;
      if (outcome.kind === 'answered') this.#answer(query, outcome.message);
      // No datagrams on the way, as over HTTP/2: a stream may reach the resolver all the same.
      else if (outcome.kind === 'failed') void this.#askOverTcp(query);
      else this.#fail(query, responseCode.serverFailure);
    });
  }

  /** The client's flow; undefined where the network does not allow one. */
  #upstream({ address, port }: UdpClient): DnsUpstream | undefined {
    const key = countedAddress(address);
    const present = this.#clients.get(key);
    if (present !== undefined) {
      this.#clients.delete(key);
      this.#clients.set(key, present);
      return present;
    }
    const visitor = visitorOf(this.#options, address, port);
    if (visitor === undefined) return undefined;
    const { network, resolver } = this.#options;
    // Anybody can forge addresses, so a full table shuts nobody out: the flow that was idle longest makes room.
    const [[oldestKey, oldest] = []] = this.#clients;
    if (this.#clients.size >= maxClients && oldestKey !== undefined) {
      this.#clients.delete(oldestKey);
      oldest?.close();
    }
    try {
      const upstream: DnsUpstream = new DnsUpstream(
        (idleMs, events) => network.openUdp(visitor, resolver.host, resolver.port, idleMs, events),
        () => {
          if (this.#clients.get(key) === upstream) this.#clients.delete(key);
        },
      );
      this.#clients.set(key, upstream);
      return upstream;
    } catch (error) {
      if (!isPosternError(error, 'flow.denied') && !isPosternError(error, 'flow.limit')) throw error;
      // The tracker has been told why.
      return undefined;
    }
  }

  /** Never rejects. */
  async #askOverTcp(query: Query): Promise<void> {
    const { network, resolver } = this.#options;
    const visitor = visitorOf(this.#options, query.from.address, query.from.port);
    if (visitor === undefined || this.#stopped || this.#overTcp >= maxOverTcp) {
      this.#fail(query, responseCode.serverFailure);
      return;
    }
    this.#overTcp += 1;
    try {
      const answer = await askOverTcp(
        async client => (await network.openTcp(visitor, resolver.host, resolver.port, client)).stream,
        query.message,
        AbortSignal.any([this.#abort.signal, AbortSignal.timeout(overTcpMs)]),
      );
      if (!answersQuestion(answer, questionOf(query.message, query.layout.questionEnd)))
        throw new PosternError('protocol.malformed', 'The resolver answered another question.');
      writeId(answer, query.id);
      this.#answer(query, answer.length > query.udpSize ? encodeTruncated(answer, query.layout) : answer);
    } catch (error) {
      this.#options.logger.debug({ error: describeError(error) }, 'The resolver was asked over TCP in vain');
      this.#fail(query, responseCode.serverFailure);
    } finally {
      this.#overTcp -= 1;
    }
  }

  #answer({ from }: Query, message: Uint8Array): void {
    this.counters.answered += 1;
    this.#reply(from, message);
  }

  #fail({ message, layout, from, id }: Query, code: number): void {
    this.counters.failed += 1;
    const refusal = encodeFailure(message, layout, code);
    writeId(refusal, id);
    this.#reply(from, refusal);
  }

  #reply(to: UdpClient, message: Uint8Array): void {
    // A copy: the flow's view is valid only now.
    if (this.#listener !== undefined && !to.reply(Buffer.from(message))) this.counters.dropped += 1;
  }
}

/** One query over UDP, and what must be known of it when its answer comes. */
interface Query {
  /** As it came but for the id, which is changed on the way. */
  readonly message: Buffer;
  readonly layout: QueryLayout;
  readonly from: UdpClient;
  /** The client's. */
  readonly id: number;
  /** The largest answer that the client takes. */
  readonly udpSize: number;
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
    if (socket.readableLength === 0) socket.destroy();
    else if (visitor === undefined) await refuseTcp(socket, responseCode.refused);
    else joinFlow(socket, await network.openTcp(visitor, resolver.host, resolver.port, socket));
  } catch (error) {
    logger.debug({ src: socket.remoteAddress, error: describeError(error) }, 'DNS client over TCP not served');
    const code = isPosternError(error, 'flow.denied') ? responseCode.refused : responseCode.serverFailure;
    await refuseTcp(socket, code);
  }
}

/** Answers the first query of a client with a failure, and ends the connection. Never rejects. */
async function refuseTcp(socket: Socket, code: number): Promise<void> {
  try {
    const query = await readExactly(socket, (await readExactly(socket, 2)).readUInt16BE(0));
    const layout = readQuery(query);
    if (layout !== undefined) {
      const failure = encodeFailure(query, layout, code);
      socket.end(Buffer.concat([Buffer.from([failure.length >> 8, failure.length & 0xff]), failure]));
      socket.destroySoon();
      return;
    }
  } catch {
    // It left, or fell silent in the middle of its query.
  }
  socket.destroy();
}

function visitorOf(options: DnsForwarderOptions, address: string | undefined, port: number): Visitor | undefined {
  const network = options.vnet();
  if (network === undefined) return undefined;
  return { onRamp: 'dns', network, sourceAddress: plainAddress(address), sourcePort: port };
}
