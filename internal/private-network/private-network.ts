// The one way from an on-ramp into a private network: find the route of a destination within one virtual network, take a
// live connection of its tunnel, track the flow. Nothing else opens a stream or session to a private address.
// Source: docs/protocol/ingress-and-origin.md §11, docs/protocol/datagrams.md §4–5.

import type { Duplex } from 'node:stream';
import type { ConnectorRegistry, RegisteredConnection } from '../carriers/connector-registry.ts';
import { IdleWheel } from '../datagram/channel/idle-wheel.ts';
import { EdgeEcho } from '../datagram/edge/edge-echo.ts';
import { type EdgeFlow, EdgeFlows, type FlowEnd } from '../datagram/edge/edge-flow.ts';
import { isPosternError, PosternError } from '../errors/error.ts';
import type { IpBytes } from '../net/address/ip.ts';
import type { TunnelId } from '../schema/api-id.ts';
import type { NetworkRecord } from '../store/contract/records.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { EdgeConnection, OutgoingStream, RequestHead } from '../transport/transport.ts';
import { ConnectionDatagrams } from './connection-datagrams.ts';
import { DestinationLookup } from './destination-lookup.ts';
import type { Resolver } from './dns/upstream.ts';
import { EchoSession } from './echo-session.ts';
import type { FlowEndReason, FlowSubject } from './flows/flow.ts';
import type { FlowTracker, OpenFlow } from './flows/flow-tracker.ts';
import { NamedUdpFlow } from './flows/named-udp-flow.ts';
import type { UdpFlow, UdpFlowEvents } from './flows/udp-flow.ts';
import type { NameResolver } from './names/name-resolver.ts';
import { formatPrivateTarget, type PrivateHost } from './routes/private-host.ts';
import type { RouteTable } from './routes/route-table.ts';
import { formatSource, subjectOf, type Visitor } from './visitor.ts';

export interface PrivateNetworkOptions {
  readonly routes: RouteTable;
  readonly registry: ConnectorRegistry;
  readonly tracker: FlowTracker;
  readonly logger: Logger;
  /** The resolver that knows the names of a network; undefined = none does. */
  readonly resolverOf?: ((network: NetworkRecord) => Resolver | undefined) | undefined;
  /** Names lead only where a route of an address to the same tunnel leads too; by default wherever DNS says. */
  readonly confineHostnames?: boolean | undefined;
  /** How long a stream waits for a connector that is just coming back, in milliseconds. Default 3,000. */
  readonly reconnectWaitMs?: number;
}

export interface TcpFlow {
  /** Both directions half-open; its 'close' ends the flow. */
  readonly stream: Duplex;
  readonly flow: OpenFlow;
}

/** Connections tried for one stream: the four of a connector, once each. */
const maxAttempts = 4;
/** Longest wait for the connector's answer: its dial takes 5 s by default; operators with slow networks set more. */
const answerTimeoutMs = 30_000;
/** Routes changed in one go (a script adds thousands) are one reason to look at the flows. */
const recheckDelayMs = 50;
/**
 * Where echo requests come from. No host has these addresses (RFC 7600 dummy address, RFC 6666 discard prefix); they
 * only carry replies back to us.
 */
const echoSources = {
  4: Uint8Array.of(192, 0, 0, 8),
  6: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
};

export class PrivateNetwork {
  readonly routes: RouteTable;
  readonly tracker: FlowTracker;
  readonly echo = new EdgeEcho(echoSources);
  readonly udp: EdgeFlows;
  readonly #lookup: DestinationLookup;
  readonly #registry: ConnectorRegistry;
  readonly #datagrams: ConnectionDatagrams;
  readonly #reconnectWaitMs: number;
  readonly #unfollow: () => void;
  #recheck: NodeJS.Timeout | undefined;

  constructor(options: PrivateNetworkOptions) {
    const { routes, registry, tracker, logger, resolverOf, confineHostnames = false, reconnectWaitMs } = options;
    this.#reconnectWaitMs = reconnectWaitMs ?? 3_000;
    this.routes = routes;
    this.tracker = tracker;
    this.udp = new EdgeFlows({ wheel: new IdleWheel(), log: logger });
    this.#registry = registry;
    this.#lookup = new DestinationLookup({
      ...{ routes, tracker, confineHostnames, resolverOf: resolverOf ?? (() => undefined) },
      openTcp: async (...flow) => (await this.openTcp(...flow)).stream,
      openUdp: (...flow) => this.openUdp(...flow),
      openVia: (...flow) => this.#openVia(...flow),
    });
    this.#datagrams = new ConnectionDatagrams({ registry, echo: this.echo, logger });
    this.#unfollow = routes.onChange(() => {
      this.#recheck ??= setTimeout(() => this.#cutStrayFlows(), recheckDelayMs);
    });
  }

  /**
   * Opens a TCP stream. A name with a route of its own travels to that connector, which resolves it, unless names are
   * confined; any other stands for the address that the network's resolver gives. Throws 'flow.denied' (no route, or the
   * connector's own machine), 'flow.limit', 'connection.lost' (no connector), 'origin.refused' (the destination said no),
   * 'origin.unreachable' (the connector could not reach it, or the name has no address), 'dial.timeout', 'stream.aborted'
   * (`visitor` closed first, or the route went). The caller joins the two with `joinFlow`.
   */
  async openTcp(who: Visitor, to: PrivateHost, port: number, visitor: Duplex): Promise<TcpFlow> {
    const isGoodAsItIs =
      to.kind === 'address' ||
      (!this.#lookup.confinesHostnames && this.#lookup.hostnameRoute(who.network, to.name) !== undefined);
    const host = isGoodAsItIs ? to : (await this.#lookup.locate(who, 'tcp', to, port)).host;
    if (visitor.destroyed) throw aborted();
    const subject = subjectOf(who, 'tcp', host, port);
    const tunnelId = this.#lookup.route(subject, who.network, host);
    const flow = this.tracker.open(subject, tunnelId);
    let stream: OutgoingStream | undefined;
    let cutBy: FlowEndReason | undefined;
    flow.cut = reason => {
      cutBy = reason;
      stream?.reset();
      flow.end(reason);
    };
    const gone = (): void => flow.cut('closed');
    visitor.once('close', gone);
    try {
      const head: RequestHead = {
        kind: 'tcp',
        method: 'GET',
        scheme: 'https',
        host: formatPrivateTarget(host, port),
        path: '/',
        headers: [],
        source: formatSource(who),
        bodyLength: -1,
      };
      const tried: EdgeConnection[] = [];
      for (;;) {
        const { connection } = await this.#pick(tunnelId, who.network.accountTag, tried);
        if (cutBy !== undefined) throw aborted();
        tried.push(connection);
        try {
          stream = connection.request(head);
          const { body } = stream;
          body.on('error', ignore);
          await answered(stream);
          if (cutBy !== undefined) throw aborted();
          body.once('close', () => flow.end(body.readableEnded && body.writableFinished ? 'closed' : 'reset'));
          return { stream: body, flow };
        } catch (error) {
          stream?.reset();
          // Nothing was sent yet, so the next connection may be tried.
          const isGone = isPosternError(error, 'connection.closed') || isPosternError(error, 'connection.lost');
          if (cutBy !== undefined) throw aborted(error);
          if (!isGone || tried.length >= maxAttempts) throw error;
        }
      }
    } catch (error) {
      flow.end(isPosternError(error, 'connection.lost') ? 'unreachable' : 'refused');
      throw error;
    } finally {
      visitor.off('close', gone);
    }
  }

  /**
   * Opens a UDP flow; payloads may be sent at once, some wait while a name is resolved: by the connector of the name's
   * route, else by the network's resolver. Throws 'flow.denied' and 'flow.limit'; whatever goes wrong later is told by
   * `ended`.
   */
  openUdp(who: Visitor, host: PrivateHost, port: number, idleMs: number, events: UdpFlowEvents): UdpFlow {
    if (host.kind === 'address') {
      const subject = subjectOf(who, 'udp', host, port);
      return this.#openVia(subject, this.#lookup.route(subject, who.network, host), host.address, idleMs, events);
    }
    this.#lookup.sourceFor(who, 'udp', host, port);
    const opening = this.#lookup
      .locate(who, 'udp', host, port)
      .then(({ address, host: shown }) => (own: UdpFlowEvents) => {
        const subject = subjectOf(who, 'udp', shown, port);
        return this.#openVia(subject, this.#lookup.route(subject, who.network, shown), address, idleMs, own);
      });
    return new NamedUdpFlow(opening, events, () => {
      this.udp.counters.droppedWaiting += 1;
    });
  }

  /**
   * Opens a series of echo requests to one address, which a name is resolved to first, as for UDP. Throws 'flow.denied',
   * 'flow.limit' and 'origin.unreachable' (the name has no address). Close it.
   */
  async openEcho(who: Visitor, to: PrivateHost): Promise<EchoSession> {
    const { address, host } =
      to.kind === 'address' ? { address: to.address, host: to } : await this.#lookup.locate(who, 'icmp', to, 0);
    const subject = subjectOf(who, 'icmp', host, 0);
    const tunnelId = this.#lookup.route(subject, who.network, host);
    const flow = this.tracker.open(subject, tunnelId);
    try {
      return new EchoSession(address, this.echo.createClient(), flow, () =>
        this.#datagrams.pick(tunnelId, who.network.accountTag),
      );
    } catch (error) {
      flow.end('refused');
      throw error;
    }
  }

  /** What the datagrams of all connections of now and of before counted together. */
  datagramTotals(): ReturnType<ConnectionDatagrams['totals']> {
    return this.#datagrams.totals();
  }

  get names(): NameResolver {
    return this.#lookup.names;
  }

  /** Whether any connection of the edge carries datagrams of this tunnel. */
  carriesDatagrams(tunnelId: TunnelId, accountTag: string): boolean {
    return this.#datagrams.pick(tunnelId, accountTag) !== undefined;
  }

  /**
   * Whether connections of the account exist and none of them carries datagrams, as over HTTP/2.
   * Without any connection the answer is no: a connector may come back over QUIC.
   */
  lacksDatagrams(accountTag: string): boolean {
    const connections = this.#registry.all().filter(one => one.accountTag === accountTag);
    return connections.length > 0 && connections.every(one => one.connection.datagrams === undefined);
  }

  /** Cuts every flow. */
  close(): void {
    clearTimeout(this.#recheck);
    this.#unfollow();
    this.#lookup.names.close();
    this.tracker.close();
    this.udp.close();
    this.#datagrams.close();
  }

  #openVia(subject: FlowSubject, tunnelId: TunnelId, address: IpBytes, idleMs: number, events: UdpFlowEvents): UdpFlow {
    const flow = this.tracker.open(subject, tunnelId);
    let carrier: EdgeFlow | undefined;
    flow.measure = () => ({ up: carrier?.bytesUp ?? 0, down: carrier?.bytesDown ?? 0 });
    flow.cut = reason => {
      flow.end(reason);
      carrier?.close();
    };
    carrier = this.udp.open({
      ...{ address, port: subject.destinationPort, idleMs },
      route: () => this.#datagrams.pick(tunnelId, subject.accountTag),
      waitingLimit: events.hold,
      payload: events.payload,
      ended: end => {
        flow.end(endReason(end));
        events.ended(end);
      },
    });
    return carrier;
  }

  async #pick(tunnelId: TunnelId, accountTag: string, tried: readonly EdgeConnection[]): Promise<RegisteredConnection> {
    let picked = this.#registry.pick(tunnelId, tried);
    if (picked === undefined && (await this.#registry.waitForReturn(tunnelId, this.#reconnectWaitMs)))
      picked = this.#registry.pick(tunnelId, tried);
    if (picked?.accountTag === accountTag) return picked;
    throw new PosternError('connection.lost', 'No connector of the route’s tunnel is connected.');
  }

  /** After a change of routes: flows whose destination leads elsewhere now, or nowhere, are cut. */
  #cutStrayFlows(): void {
    this.#recheck = undefined;
    for (const flow of this.tracker.active()) {
      if (!this.#lookup.stillLeads(flow)) flow.cut('route-changed');
    }
  }
}

/** Settles when the connector has dialled; throws what it said, or 'dial.timeout'. */
async function answered(stream: OutgoingStream): Promise<void> {
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    stream.reset();
  }, answerTimeoutMs);
  try {
    const { status } = await stream.response;
    if (status !== 101 && status !== 200)
      throw new PosternError('origin.unreachable', `The connector answered with status ${status}.`);
  } catch (error) {
    if (!late) throw error;
    throw new PosternError('dial.timeout', `The connector did not answer within ${answerTimeoutMs} ms.`, {
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
}

function aborted(cause?: unknown): PosternError {
  return new PosternError('stream.aborted', 'The flow was ended before it began.', { cause });
}

function endReason(end: FlowEnd): FlowEndReason {
  return end.kind === 'connector' ? 'reset' : end.kind;
}

function ignore(): void {
  // The 'close' that follows is what counts.
}
