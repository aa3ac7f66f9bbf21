// Where a destination of a virtual network leads, and what a name stands for: a name with a route of its own is known to
// the connector of that route, any other to the network's resolver, both asked through the tunnel. Opens nothing but the
// flows to resolvers. Source: docs/protocol/datagrams.md §8.

import type { Duplex } from 'node:stream';
import { isPosternError, PosternError } from '../errors/error.ts';
import { formatIp, type IpBytes, isSpecialDestination } from '../net/address/ip.ts';
import { virtualDns } from '../net/address/virtual-dns.ts';
import type { TunnelId } from '../schema/api-id.ts';
import type { NetworkRecord, PrivateHostnameRecord } from '../store/contract/records.ts';
import type { Resolver } from './dns/upstream.ts';
import type { Flow, FlowProtocol, FlowSubject } from './flows/flow.ts';
import type { FlowTracker } from './flows/flow-tracker.ts';
import type { OpenUdpFlow, UdpFlow, UdpFlowEvents } from './flows/udp-flow.ts';
import { NameResolver, type NameSource } from './names/name-resolver.ts';
import type { OpenDnsStream } from './names/tcp-query.ts';
import {
  formatPrivateHost,
  formatPrivateTarget,
  type PrivateHost,
  parsePrivateHost,
  routeAllows,
} from './routes/private-host.ts';
import type { RouteTable } from './routes/route-table.ts';
import { subjectOf, type Visitor } from './visitor.ts';

export interface DestinationLookupOptions {
  readonly routes: RouteTable;
  readonly tracker: FlowTracker;
  /** The resolver that knows the names of a network; undefined = none does. */
  readonly resolverOf: (network: NetworkRecord) => Resolver | undefined;
  /** Names lead only where a route of an address to the same tunnel leads too. */
  readonly confineHostnames: boolean;
  /** Opens a UDP flow where routes lead. */
  readonly openUdp: (who: Visitor, host: PrivateHost, port: number, idleMs: number, events: UdpFlowEvents) => UdpFlow;
  /** Opens a stream where routes lead. */
  readonly openTcp: (who: Visitor, host: PrivateHost, port: number, visitor: Duplex) => Promise<Duplex>;
  /** Opens a UDP flow through a tunnel, whatever the routes. */
  readonly openVia: (
    subject: FlowSubject,
    tunnelId: TunnelId,
    address: IpBytes,
    idleMs: number,
    events: UdpFlowEvents,
  ) => UdpFlow;
}

/**
 * The resolver beside each connector (docs/protocol/datagrams.md §8); no route leads there, and none is needed to ask
 * about its names.
 */
const virtualResolver: PrivateHost = { kind: 'address', address: virtualDns.address };

type NamedHost = Extract<PrivateHost, { readonly kind: 'name' }>;

export class DestinationLookup {
  readonly names = new NameResolver();
  readonly #options: DestinationLookupOptions;

  constructor(options: DestinationLookupOptions) {
    this.#options = options;
  }

  get confinesHostnames(): boolean {
    return this.#options.confineHostnames;
  }

  /**
   * The address of a name, and the host that the flow to it is judged and recorded by: the name where it has a route of its
   * own, else the address. The route is still to be asked for. Throws 'flow.denied', 'flow.limit' and
   * 'origin.unreachable' (no address), which are told to the tracker.
   */
  async locate(
    who: Visitor,
    protocol: FlowProtocol,
    host: NamedHost,
    port: number,
  ): Promise<{ readonly address: IpBytes; readonly host: PrivateHost }> {
    const { route, source } = this.sourceFor(who, protocol, host, port);
    let addresses: readonly IpBytes[];
    try {
      addresses = await this.names.resolve(source, host.name);
    } catch (error) {
      const reason = isPosternError(error, 'flow.limit') ? 'limit' : 'unresolved';
      this.#options.tracker.deny(subjectOf(who, protocol, host, port), reason);
      throw error;
    }
    const { network } = who;
    if (this.hostnameRoute(network, host.name)?.tunnelId !== route?.tunnelId) {
      this.#options.tracker.deny(subjectOf(who, protocol, host, port), 'no-route');
      throw new PosternError('flow.denied', `The route of ${host.name} was changed while it was resolved`);
    }
    const [first] = addresses;
    // The first that may be reached, so that one of two families may lack a route; else the first, which is refused.
    const address = addresses.find(one => this.#mayReach(network, route, one)) ?? first;
    if (address === undefined) throw new PosternError('internal', `${host.name} was resolved to no address`);
    if (route !== undefined && this.confinesHostnames && !this.#mayReach(network, route, address)) {
      this.#options.tracker.deny(subjectOf(who, protocol, host, port), 'no-route');
      throw new PosternError(
        'flow.denied',
        `${host.name} has the address ${formatIp(address)}, which no IP route leads to through the tunnel of the name`,
      );
    }
    // Confined, the address that was judged is what is dialled: the connector could resolve the name to another.
    const isNamed = route !== undefined && !this.confinesHostnames && this.#mayReach(network, route, address);
    return { address, host: isNamed ? host : { kind: 'address', address } };
  }

  /** Who knows the name: the connector of its route, else the network's resolver. Throws 'flow.denied', told. */
  sourceFor(
    who: Visitor,
    protocol: FlowProtocol,
    host: NamedHost,
    port: number,
  ): { readonly route: PrivateHostnameRecord | undefined; readonly source: NameSource } {
    const { network } = who;
    const { openTcp, openUdp, openVia, resolverOf } = this.#options;
    const asker: Visitor = { onRamp: 'names', network, sourceAddress: '', sourcePort: 0 };
    const route = this.hostnameRoute(network, host.name);
    if (route !== undefined) {
      const { tunnelId } = route;
      const subject = subjectOf(asker, 'udp', virtualResolver, virtualDns.port);
      const open: OpenUdpFlow = (idleMs, events) => openVia(subject, tunnelId, virtualDns.address, idleMs, events);
      return { route, source: { key: `${network.id} ${tunnelId}`, title: `The connector of ${host.name}`, open } };
    }
    const resolver = this.#options.routes.network(network.id) === undefined ? undefined : resolverOf(network);
    if (resolver !== undefined) {
      const open: OpenUdpFlow = (idleMs, events) => openUdp(asker, resolver.host, resolver.port, idleMs, events);
      const openStream: OpenDnsStream = visitor => openTcp(asker, resolver.host, resolver.port, visitor);
      const key = `${network.id} ${formatPrivateTarget(resolver.host, resolver.port)}`;
      return { route, source: { key, title: `The resolver of the virtual network ${network.name}`, open, openStream } };
    }
    this.#options.tracker.deny(subjectOf(who, protocol, host, port), 'no-route');
    throw new PosternError(
      'flow.denied',
      `No hostname route of the virtual network ${network.name} leads to ${host.name}, and the network has no resolver`,
    );
  }

  /** Whether an address that a name was resolved to may be reached: by the name's route, or one of its own. */
  #mayReach(network: NetworkRecord, route: PrivateHostnameRecord | undefined, address: IpBytes): boolean {
    const found = this.lookup(network.id, network.accountTag, { kind: 'address', address });
    if (route === undefined) return typeof found === 'object';
    if (this.confinesHostnames) return typeof found === 'object' && found.tunnelId === route.tunnelId;
    // The connector's own machine only where a route names it, and leads to the same connector.
    return !isSpecialDestination(address) || (typeof found === 'object' && found.tunnelId === route.tunnelId);
  }

  /** The route of a name in a network that is the account's. */
  hostnameRoute(network: NetworkRecord, name: string): PrivateHostnameRecord | undefined {
    const route = this.#options.routes.lookupHostname(network.id, name);
    const isOwn = this.#options.routes.network(network.id)?.accountTag === network.accountTag;
    return isOwn && route?.accountTag === network.accountTag ? route : undefined;
  }

  /** The tunnel of the destination's route. Throws 'flow.denied', which is told to the tracker. */
  route(subject: FlowSubject, network: NetworkRecord, host: PrivateHost): TunnelId {
    const found = this.lookup(network.id, network.accountTag, host);
    if (typeof found === 'object') return found.tunnelId;
    this.#options.tracker.deny(subject, found);
    const text = formatPrivateHost(host);
    throw new PosternError(
      'flow.denied',
      found === 'no-route'
        ? `No route of the virtual network ${network.name} leads to ${text}`
        : `${text} is an address of the connector's own machine or link; only a route that names it leads there`,
    );
  }

  lookup(
    networkId: string,
    accountTag: string,
    host: PrivateHost,
  ): { readonly tunnelId: TunnelId } | 'no-route' | 'special-destination' {
    if (this.#options.routes.network(networkId)?.accountTag !== accountTag) return 'no-route';
    const named = host.kind === 'name' ? this.#options.routes.lookupHostname(networkId, host.name) : undefined;
    const addressed = host.kind === 'address' ? this.#options.routes.lookup(networkId, host.address) : undefined;
    const route = named ?? addressed;
    if (route === undefined || route.accountTag !== accountTag) return 'no-route';
    if (addressed !== undefined && host.kind === 'address' && !routeAllows(addressed.prefix, host.address))
      return 'special-destination';
    return route;
  }

  /** Whether the destination of a flow in progress still leads to its tunnel. */
  stillLeads(flow: Flow): boolean {
    const host = parsePrivateHost(flow.destination);
    const found = host === undefined ? 'no-route' : this.lookup(flow.networkId, flow.accountTag, host);
    return typeof found === 'object' ? found.tunnelId === flow.tunnelId : this.#asksForNames(flow);
  }

  /** Whether a flow goes to the resolver of a connector that still has a name to resolve in the flow's network. */
  #asksForNames({ onRamp, destination, networkId, tunnelId }: Flow): boolean {
    return (
      onRamp === 'names' &&
      destination === formatPrivateHost(virtualResolver) &&
      this.#options.routes.hasHostnameOf(networkId, tunnelId)
    );
  }
}
