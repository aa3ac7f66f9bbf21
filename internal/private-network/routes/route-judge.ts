// Where a destination leads by the routes of its virtual network, and whether a flow in progress still leads there. Looks no
// name up and opens nothing.

import { PosternError } from '../../errors/error.ts';
import { virtualDns } from '../../net/address/virtual-dns.ts';
import type { TunnelId } from '../../schema/api/id.ts';
import type { NetworkRecord, PrivateHostnameRecord } from '../../store/contract/records.ts';
import type { Flow, FlowSubject } from '../flows/flow.ts';
import type { FlowTracker } from '../flows/flow-tracker.ts';
import {
  type AddressHost,
  formatPrivateHost,
  type PrivateHost,
  parsePrivateHost,
  routeAllows,
} from './private-host.ts';
import type { RouteTable } from './route-table.ts';

/**
 * The resolver beside each connector (docs/protocol/datagrams.md §8); no route leads there, and none is needed to ask
 * about its names.
 */
export const virtualResolver: AddressHost = { kind: 'address', address: virtualDns.address };

export class RouteJudge {
  readonly #routes: RouteTable;
  readonly #tracker: FlowTracker;

  /** @param tracker is told of what is denied */
  constructor(routes: RouteTable, tracker: FlowTracker) {
    this.#routes = routes;
    this.#tracker = tracker;
  }

  /** Whether the network exists. */
  knows(network: NetworkRecord): boolean {
    return this.#routes.network(network.id) !== undefined;
  }

  /** The route of a name in a network that is the account's. */
  hostnameRoute(network: NetworkRecord, name: string): PrivateHostnameRecord | undefined {
    const route = this.#routes.lookupHostname(network.id, name);
    const isOwn = this.#routes.network(network.id)?.accountTag === network.accountTag;
    return isOwn && route?.accountTag === network.accountTag ? route : undefined;
  }

  /** The tunnel of the destination's route. Throws 'flow.denied', which is told to the tracker. */
  route(subject: FlowSubject, network: NetworkRecord, host: PrivateHost): TunnelId {
    const found = this.lookup(network.id, network.accountTag, host);
    if (typeof found === 'object') return found.tunnelId;
    this.#tracker.deny(subject, found);
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
    if (this.#routes.network(networkId)?.accountTag !== accountTag) return 'no-route';
    const named = host.kind === 'name' ? this.#routes.lookupHostname(networkId, host.name) : undefined;
    const addressed = host.kind === 'address' ? this.#routes.lookup(networkId, host.address) : undefined;
    const route = named ?? addressed;
    if (route === undefined || route.accountTag !== accountTag) return 'no-route';
    if (addressed !== undefined && host.kind === 'address' && !routeAllows(addressed.prefix, host.address))
      return 'special-destination';
    return route;
  }

  /** Whether the destination of a flow in progress still leads to its tunnel. */
  stillLeads(flow: Flow): boolean {
    // Its route names the tunnel itself; whoever follows those routes cuts it.
    if (flow.onRamp === 'public-port' || flow.onRamp === 'tls-passthrough') return true;
    const host = parsePrivateHost(flow.destination);
    const found = host === undefined ? 'no-route' : this.lookup(flow.networkId, flow.accountTag, host);
    return typeof found === 'object' ? found.tunnelId === flow.tunnelId : this.#asksForNames(flow);
  }

  /** Whether a flow goes to the resolver of a connector that still has a name to resolve in the flow's network. */
  #asksForNames({ onRamp, destination, networkId, tunnelId }: Flow): boolean {
    return (
      onRamp === 'names' &&
      destination === formatPrivateHost(virtualResolver) &&
      this.#routes.hasHostnameOf(networkId, tunnelId)
    );
  }
}
