// The one way from an on-ramp into a private network: find the route of a destination within one virtual network, take a
// live connection of its tunnel, track the flow. Source: docs/protocol/ingress-and-origin.md §11, docs/protocol/datagrams.md §4–5.

import type { Duplex } from 'node:stream';
import type { ConnectorRegistry } from '../carriers/connector-registry.ts';
import { EdgeEcho } from '../datagram/edge/edge-echo.ts';
import type { EdgeFlows } from '../datagram/edge/edge-flow.ts';
import type { TunnelId } from '../schema/api/id.ts';
import type { NetworkRecord } from '../store/contract/records.ts';
import type { Logger } from '../telemetry/logger.ts';
import { ConnectionDatagrams } from './connection-datagrams.ts';
import { DestinationLookup } from './destination-lookup.ts';
import type { Resolver } from './dns/upstream.ts';
import { EchoSession } from './echo-session.ts';
import { abortedFlow, FlowOpener, type TcpFlow } from './flow-opener.ts';
import type { FlowTracker } from './flows/flow-tracker.ts';
import { NamedUdpFlow } from './flows/named-udp-flow.ts';
import type { UdpFlow, UdpFlowEvents } from './flows/udp-flow.ts';
import type { NameResolver } from './names/name-resolver.ts';
import type { PrivateHost } from './routes/private-host.ts';
import { RouteJudge } from './routes/route-judge.ts';
import type { RouteTable } from './routes/route-table.ts';
import { subjectOf, type Visitor } from './visitor.ts';

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

/** A connector that restarts is back within a second or two. */
const defaultReconnectWaitMs = 3_000;
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
  readonly #judge: RouteJudge;
  readonly #opener: FlowOpener;
  readonly #lookup: DestinationLookup;
  readonly #registry: ConnectorRegistry;
  readonly #datagrams: ConnectionDatagrams;
  readonly #unfollow: () => void;
  #recheck: NodeJS.Timeout | undefined;

  constructor(options: PrivateNetworkOptions) {
    const { routes, registry, tracker, logger, resolverOf, confineHostnames = false } = options;
    const { reconnectWaitMs = defaultReconnectWaitMs } = options;
    this.routes = routes;
    this.tracker = tracker;
    this.#registry = registry;
    this.#datagrams = new ConnectionDatagrams({ registry, echo: this.echo, logger });
    const datagrams = this.#datagrams;
    this.#judge = new RouteJudge(routes, tracker);
    this.#opener = new FlowOpener({ registry, datagrams, tracker, logger, reconnectWaitMs });
    this.#lookup = new DestinationLookup({
      judge: this.#judge,
      opener: this.#opener,
      tracker,
      confineHostnames,
      resolverOf: resolverOf ?? (() => undefined),
    });
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
      (!this.#lookup.confinesHostnames && this.#judge.hostnameRoute(who.network, to.name) !== undefined);
    const host = isGoodAsItIs ? to : (await this.#lookup.locate(who, 'tcp', to, port)).host;
    if (visitor.destroyed) throw abortedFlow();
    const tunnelId = this.#judge.route(subjectOf(who, 'tcp', host, port), who.network, host);
    return this.#opener.openTcp(who, tunnelId, host, port, visitor);
  }

  /**
   * Opens a UDP flow; payloads may be sent at once, some wait while a name is resolved: by the connector of the name's
   * route, else by the network's resolver. Throws 'flow.denied' and 'flow.limit'; whatever goes wrong later is told by
   * `ended`.
   */
  openUdp(who: Visitor, host: PrivateHost, port: number, idleMs: number, events: UdpFlowEvents): UdpFlow {
    if (host.kind === 'address') {
      const subject = subjectOf(who, 'udp', host, port);
      return this.#opener.openUdp(subject, this.#judge.route(subject, who.network, host), host.address, idleMs, events);
    }
    this.#lookup.sourceFor(who, 'udp', host, port);
    const opening = this.#lookup
      .locate(who, 'udp', host, port)
      .then(({ address, host: shown }) => (own: UdpFlowEvents) => {
        const subject = subjectOf(who, 'udp', shown, port);
        return this.#opener.openUdp(subject, this.#judge.route(subject, who.network, shown), address, idleMs, own);
      });
    return new NamedUdpFlow(opening, events, () => {
      this.udp.counters.droppedWaiting += 1;
    });
  }

  /** For those whose own routes name the tunnel: opens what they lead to without asking the routes of the network. */
  get through(): Pick<FlowOpener, 'openTcp' | 'openIngress' | 'openUdp'> {
    return this.#opener;
  }

  /**
   * Opens a series of echo requests to one address, which a name is resolved to first, as for UDP. Throws 'flow.denied',
   * 'flow.limit' and 'origin.unreachable' (the name has no address). Close it.
   */
  async openEcho(who: Visitor, to: PrivateHost): Promise<EchoSession> {
    const { address, host } =
      to.kind === 'address' ? { address: to.address, host: to } : await this.#lookup.locate(who, 'icmp', to, 0);
    const subject = subjectOf(who, 'icmp', host, 0);
    const tunnelId = this.#judge.route(subject, who.network, host);
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

  get udp(): EdgeFlows {
    return this.#opener.udp;
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
    this.#opener.close();
    this.#datagrams.close();
  }

  /** After a change of routes: flows whose destination leads elsewhere now, or nowhere, are cut. */
  #cutStrayFlows(): void {
    this.#recheck = undefined;
    for (const flow of this.tracker.active()) {
      if (!this.#judge.stillLeads(flow)) flow.cut('route-changed');
    }
  }
}
