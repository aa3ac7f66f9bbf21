// Who stands behind a member at this moment: the connectors of its tunnel, each a replica, or one private origin. Nothing of
// another account is ever found.

import type { Carrier } from '../../carriers/carrier.ts';
import type { ConnectorRegistry, RegisteredConnection } from '../../carriers/connector-registry.ts';
import type { PrivateNetwork } from '../../private-network/private-network.ts';
import type { TunnelId } from '../../schema/api/id.ts';
import type { NetworkRecord } from '../../store/contract/records.ts';
import type { HostnameTable } from '../../visitors/routing/hostname-table.ts';
import type { Member } from './model.ts';
import { PrivateOrigin } from './private-origin.ts';

export interface Endpoint {
  /** Of member and connector. */
  readonly key: string;
  readonly member: Member;
  /** UUID of the connector; empty for a private origin. */
  readonly clientId: string;
  /** Those that take new streams. */
  readonly connections: readonly RegisteredConnection[];
  readonly privateOrigin: PrivateOrigin | undefined;
  readonly weight: number;
  readonly outstanding: number;
}

export class Endpoints {
  readonly #registry: ConnectorRegistry;
  readonly #hostnames: HostnameTable;
  readonly #network: PrivateNetwork;

  constructor(registry: ConnectorRegistry, hostnames: HostnameTable, network: PrivateNetwork) {
    this.#registry = registry;
    this.#hostnames = hostnames;
    this.#network = network;
  }

  /** Those that could be asked now; none while no connector is connected. */
  of(member: Member): readonly Endpoint[] {
    if (member.target.kind === 'private') return this.#privateOf(member);
    const tunnelId = this.tunnelOf(member);
    if (tunnelId === undefined) return [];
    const byClient = new Map<string, RegisteredConnection[]>();
    for (const one of this.#registry.connectionsOf(tunnelId)) {
      if (one.accountTag !== member.accountTag) continue;
      const known = byClient.get(one.clientId);
      if (known === undefined) byClient.set(one.clientId, [one]);
      else known.push(one);
    }
    return [...byClient].map(([clientId, connections]) => ({
      ...{ key: `${member.key} ${clientId}`, member, clientId, connections, privateOrigin: undefined, weight: 1 },
      outstanding: connections.reduce((sum, one) => sum + one.connection.openStreams, 0),
    }));
  }

  /** The tunnel that a member's requests take now, whether connected or not. */
  tunnelOf({ accountTag, target }: Member): TunnelId | undefined {
    if (target.kind === 'tunnel') return target.tunnelId;
    if (target.kind === 'hostname') {
      const route = this.#hostnames.routeOf(target.hostname);
      return route?.accountTag === accountTag ? route.tunnelId : undefined;
    }
    const network = this.networkOf(accountTag, target.networkId);
    if (network === undefined) return undefined;
    const { host } = target;
    const { routes } = this.#network;
    const route =
      host.kind === 'address' ? routes.lookup(network.id, host.address) : routes.lookupHostname(network.id, host.name);
    return route?.accountTag === accountTag ? route.tunnelId : undefined;
  }

  /** A live network of the account: the one named, or its default one. */
  networkOf(accountTag: string, id: string | undefined): NetworkRecord | undefined {
    const network = id === undefined ? this.#network.routes.networkOf(accountTag) : this.#network.routes.network(id);
    return network?.accountTag === accountTag ? network : undefined;
  }

  /** Whether one of its connections is not silent for longer than connectors are. */
  isTrusted({ connections, privateOrigin }: Endpoint): boolean {
    return privateOrigin !== undefined || connections.some(one => !this.#registry.isSuspect(one));
  }

  /** The least busy connection that was not tried, a suspect one last. */
  carrierOf({ connections, privateOrigin }: Endpoint, tried: ReadonlySet<Carrier>): Carrier | undefined {
    if (privateOrigin !== undefined) return tried.has(privateOrigin) ? undefined : privateOrigin;
    let best: RegisteredConnection | undefined;
    for (const one of connections) {
      if (tried.has(one.connection)) continue;
      if (best === undefined || this.#isBetter(one, best)) best = one;
    }
    return best?.connection;
  }

  #isBetter(one: RegisteredConnection, other: RegisteredConnection): boolean {
    const isSuspect = this.#registry.isSuspect(one);
    if (isSuspect !== this.#registry.isSuspect(other)) return !isSuspect;
    return one.connection.openStreams < other.connection.openStreams;
  }

  #privateOf(member: Member): readonly Endpoint[] {
    const tunnelId = this.tunnelOf(member);
    const { target } = member;
    if (tunnelId === undefined || target.kind !== 'private') return [];
    const network = this.networkOf(member.accountTag, target.networkId);
    if (network === undefined || this.#registry.connectionsOf(tunnelId).length === 0) return [];
    const privateOrigin = new PrivateOrigin(this.#network, network, target.host, target.port);
    const { key, outstanding } = member;
    return [{ key, member, clientId: '', connections: [], privateOrigin, weight: 1, outstanding }];
  }
}
