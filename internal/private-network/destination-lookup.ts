// What a name stands for in a virtual network: a name with a route of its own is known to
// the connector of that route, any other to the network's resolver, both asked through the tunnel. Opens nothing but the
// flows to resolvers. Source: docs/protocol/datagrams.md §8.

import { isPosternError, PosternError } from '../errors/error.ts';
import { formatIp, type IpBytes, isSpecialDestination } from '../net/address/ip.ts';
import { virtualDns } from '../net/address/virtual-dns.ts';
import type { NetworkRecord, PrivateHostnameRecord } from '../store/contract/records.ts';
import type { Resolver } from './dns/upstream.ts';
import type { FlowOpener } from './flow-opener.ts';
import type { FlowProtocol } from './flows/flow.ts';
import type { FlowTracker } from './flows/flow-tracker.ts';
import type { OpenUdpFlow } from './flows/udp-flow.ts';
import { NameResolver, type NameSource } from './names/name-resolver.ts';
import type { OpenDnsStream } from './names/tcp-query.ts';
import { formatPrivateTarget, type PrivateHost } from './routes/private-host.ts';
import { type RouteJudge, virtualResolver } from './routes/route-judge.ts';
import { subjectOf, type Visitor } from './visitor.ts';

export interface DestinationLookupOptions {
  readonly judge: RouteJudge;
  /** Opens the flows to resolvers. */
  readonly opener: FlowOpener;
  readonly tracker: FlowTracker;
  /** The resolver that knows the names of a network; undefined = none does. */
  readonly resolverOf: (network: NetworkRecord) => Resolver | undefined;
  /** Names lead only where a route of an address to the same tunnel leads too. */
  readonly confineHostnames: boolean;
}

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
    if (this.#options.judge.hostnameRoute(network, host.name)?.tunnelId !== route?.tunnelId) {
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
    const { judge, opener, resolverOf } = this.#options;
    const asker: Visitor = { onRamp: 'names', network, sourceAddress: '', sourcePort: 0 };
    const route = judge.hostnameRoute(network, host.name);
    if (route !== undefined) {
      const { tunnelId } = route;
      const subject = subjectOf(asker, 'udp', virtualResolver, virtualDns.port);
      const open: OpenUdpFlow = (idleMs, events) =>
        opener.openUdp(subject, tunnelId, virtualDns.address, idleMs, events);
      return { route, source: { key: `${network.id} ${tunnelId}`, title: `The connector of ${host.name}`, open } };
    }
    const resolver = judge.knows(network) ? resolverOf(network) : undefined;
    if (resolver !== undefined) {
      const { host: at, port: atPort } = resolver;
      const open: OpenUdpFlow = (idleMs, events) => {
        const subject = subjectOf(asker, 'udp', at, atPort);
        return opener.openUdp(subject, judge.route(subject, network, at), at.address, idleMs, events);
      };
      const openStream: OpenDnsStream = async visitor => {
        const tunnelId = judge.route(subjectOf(asker, 'tcp', at, atPort), network, at);
        return (await opener.openTcp(asker, tunnelId, at, atPort, visitor)).stream;
      };
      const key = `${network.id} ${formatPrivateTarget(at, atPort)}`;
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
    const found = this.#options.judge.lookup(network.id, network.accountTag, { kind: 'address', address });
    if (route === undefined) return typeof found === 'object';
    if (this.confinesHostnames) return typeof found === 'object' && found.tunnelId === route.tunnelId;
    // The connector's own machine only where a route names it, and leads to the same connector.
    return !isSpecialDestination(address) || (typeof found === 'object' && found.tunnelId === route.tunnelId);
  }
}
