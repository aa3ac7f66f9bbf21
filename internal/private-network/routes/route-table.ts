// The private routes of an edge in memory: which tunnel reaches an address or a name of a virtual network. Follows the
// store.

import { type IpBytes, parseIp, unmapIpv4 } from '../../net/address/ip.ts';
import { parsePrefix } from '../../net/address/prefix.ts';
import { PrefixTable } from '../../net/address/prefix-table.ts';
import type { TunnelId } from '../../schema/api/id.ts';
import type { StoreChange } from '../../store/contract/changes.ts';
import type { IpRouteRecord, NetworkRecord, PrivateHostnameRecord } from '../../store/contract/records.ts';
import type { Store } from '../../store/contract/store.ts';
import { followTable } from '../../store/follow/follow-table.ts';

export interface RouteTable extends Disposable {
  /** The route of the longest prefix in the network that contains the address; mapped IPv4 counts as IPv4. */
  lookup(networkId: string, address: IpBytes): IpRouteRecord | undefined;
  /** The route of a name: the exact one, else the wildcard with the longest suffix. Letter case does not matter. */
  lookupHostname(networkId: string, hostname: string): PrivateHostnameRecord | undefined;
  /** Whether any name of the network leads to the tunnel. */
  hasHostnameOf(networkId: string, tunnelId: TunnelId): boolean;
  /** A live network by id. */
  network(id: string): NetworkRecord | undefined;
  /** A live network of an account by name, or its default one without a name. */
  networkOf(accountTag: string, name?: string): NetworkRecord | undefined;
  /** Calls `listener` after any route or network changed: flows in progress may have lost theirs. Returns what stops it. */
  onChange(listener: () => void): () => void;
  /** Stops following the store. */
  close(): void;
}

interface NetworkRoutes {
  readonly prefixes: PrefixTable<IpRouteRecord>;
  readonly hostnames: Map<string, PrivateHostnameRecord>;
}

/** Reads all routes and networks and follows their changes. Throws `store.failed`. `onError` hears of failed re-reads. */
export async function openRouteTable(store: Store, onError: (error: unknown) => void): Promise<RouteTable> {
  let networks = new Map<string, NetworkRecord>();
  let routes = new Map<string, NetworkRoutes>();
  const listeners = new Set<() => void>();

  const routesOf = (networkId: string): NetworkRoutes => {
    let found = routes.get(networkId);
    if (found === undefined) {
      found = { prefixes: new PrefixTable(), hostnames: new Map() };
      routes.set(networkId, found);
    }
    return found;
  };
  const addPrefix = (route: IpRouteRecord): void => {
    const prefix = parsePrefix(route.prefix);
    if (prefix !== undefined) routesOf(route.networkId).prefixes.set(prefix, route);
  };
  const removePrefix = (route: IpRouteRecord): void => {
    const prefix = parsePrefix(route.prefix);
    if (prefix !== undefined) routes.get(route.networkId)?.prefixes.delete(prefix);
  };

  const apply = (change: StoreChange): boolean => {
    switch (change.kind) {
      case 'network-changed':
        networks.set(change.network.id, change.network);
        return true;
      case 'network-deleted':
        networks.delete(change.networkId);
        routes.delete(change.networkId);
        return true;
      case 'ip-route-added':
        addPrefix(change.route);
        return true;
      case 'ip-route-deleted':
        removePrefix(change.route);
        return true;
      case 'private-hostname-added':
        routesOf(change.route.networkId).hostnames.set(change.route.hostname, change.route);
        return true;
      case 'private-hostname-deleted':
        routes.get(change.route.networkId)?.hostnames.delete(change.route.hostname);
        return true;
      case 'reset':
      case 'tunnel-created':
      case 'tunnel-deleted':
      case 'secret-rotated':
      case 'configuration':
      case 'hostname-routed':
      case 'hostname-removed':
      case 'public-port-added':
      case 'public-port-removed':
      case 'balancing-changed':
      case 'balancing-removed':
      case 'token-revoked':
        return false;
    }
  };
  const stop = await followTable(store.changes, {
    read: () => Promise.all([store.networks.list(), store.ipRoutes.list(), store.privateHostnames.list()]),
    replace: ([allNetworks, ipRoutes, hostnames]) => {
      networks = new Map(allNetworks.filter(isLive).map(network => [network.id, network]));
      routes = new Map();
      for (const route of ipRoutes.filter(isLive)) addPrefix(route);
      for (const route of hostnames.filter(isLive)) routesOf(route.networkId).hostnames.set(route.hostname, route);
    },
    apply,
    onChange: () => {
      for (const listener of listeners) listener();
    },
    onError,
  });

  const lookupHostname = (networkId: string, hostname: string): PrivateHostnameRecord | undefined => {
    const names = routes.get(networkId)?.hostnames;
    const name = hostname.toLowerCase().replace(/\.$/, '');
    if (names === undefined || names.size === 0 || name.length > 253 || parseIp(name) !== undefined) return undefined;
    const exact = names.get(name);
    if (exact !== undefined) return exact;
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      const wildcard = names.get(`*${name.slice(dot)}`);
      if (wildcard !== undefined) return wildcard;
    }
    return undefined;
  };

  return {
    lookup: (networkId, address) => routes.get(networkId)?.prefixes.lookup(unmapIpv4(address)),
    lookupHostname,
    hasHostnameOf(networkId, tunnelId) {
      for (const route of routes.get(networkId)?.hostnames.values() ?? []) if (route.tunnelId === tunnelId) return true;
      return false;
    },
    network: id => networks.get(id),
    networkOf(accountTag, name) {
      for (const network of networks.values()) {
        if (network.accountTag !== accountTag) continue;
        if (name === undefined ? network.isDefault : network.name === name) return network;
      }
      return undefined;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
    close: stop,
    [Symbol.dispose]: stop,
  };
}

function isLive(record: { readonly deletedAtMs: number | undefined }): boolean {
  return record.deletedAtMs === undefined;
}
