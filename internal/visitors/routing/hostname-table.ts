// Where a visitor's host name leads: to a tunnel, by the store's host names in memory, which follow the store, or to those
// among whom a feature chooses. An exact name wins over a wildcard, a longer wildcard over a shorter one.

import { hostOf } from '../../net/address/host-port.ts';
import type { TunnelId } from '../../schema/api/id.ts';
import type { HostnameTls } from '../../store/contract/records.ts';
import type { Store } from '../../store/contract/store.ts';
import { followTable } from '../../store/follow/follow-table.ts';

/** A host name, or a wildcard such as `*.example.com`, and where it leads. */
export type HostnameRoute<Choose = unknown> = TunnelRoute | BalancedRoute<Choose>;

export interface TunnelRoute {
  readonly hostname: string;
  readonly accountTag: string;
  readonly tunnelId: TunnelId;
  /** What happens to visitors' TLS. */
  readonly tls?: HostnameTls | undefined;
  readonly choose?: undefined;
}

/** A name for which somebody is chosen anew for each request. */
export interface BalancedRoute<Choose = unknown> {
  readonly hostname: string;
  readonly accountTag: string;
  readonly tunnelId?: undefined;
  /** How; the forwarder's and the chooser's business. */
  readonly choose: Choose;
}

/** `Choose`: how somebody is chosen for a name that several may serve (../choice.ts). */
export interface HostnameTable<Choose = unknown> {
  /** `host` as in the Host header, with or without port, in any case. */
  routeOf(host: string): HostnameRoute<Choose> | undefined;
  /** Whether there is a route of exactly this name. */
  has(hostname: string): boolean;
  /** How `routeOf` finds it: by its own name or by a wildcard. */
  routed(host: string): 'name' | 'wildcard' | undefined;
  /** Replaces the names for which is chosen. They stand before those of the store. */
  balance(routes: readonly BalancedRoute<Choose>[]): void;
  close(): void;
}

/** Loads the table and follows the store. Throws `store.failed`. `onError` hears of failed re-reads. */
export async function openHostnameTable<Choose = unknown>(
  store: Store,
  onError: (error: unknown) => void,
): Promise<HostnameTable<Choose>> {
  /** The two below as one: a request costs one look. */
  let names = new Map<string, HostnameRoute<Choose>>();
  let stored = new Map<string, TunnelRoute>();
  let balanced: ReadonlyMap<string, BalancedRoute<Choose>> = new Map();
  const merge = (): void => {
    names = new Map<string, HostnameRoute<Choose>>([...stored, ...balanced]);
  };
  const stop = await followTable(store.changes, {
    read: () => store.hostnames.list(),
    replace: records => {
      stored = new Map(records.map(record => [record.hostname, record]));
      merge();
    },
    apply: change => {
      if (change.kind === 'hostname-routed') {
        const { hostname } = change.route;
        stored.set(hostname, change.route);
        if (!balanced.has(hostname)) names.set(hostname, change.route);
        return true;
      }
      // The names of a deleted tunnel are removed one by one.
      if (change.kind !== 'hostname-removed') return false;
      stored.delete(change.hostname);
      if (!balanced.has(change.hostname)) names.delete(change.hostname);
      return true;
    },
    onError,
  });
  const routeOf = (given: string): HostnameRoute<Choose> | undefined => {
    const host = hostOf(given);
    const exact = names.get(host);
    if (exact !== undefined) return exact;
    const lower = canonical(host);
    let found = names.get(lower);
    for (let dot = lower.indexOf('.'); found === undefined && dot >= 0; dot = lower.indexOf('.', dot + 1)) {
      found = names.get(`*${lower.slice(dot)}`);
    }
    return found;
  };
  return {
    routeOf,
    has: hostname => names.has(hostname),
    routed: host => {
      if (names.has(canonical(host))) return 'name';
      return routeOf(host) === undefined ? undefined : 'wildcard';
    },
    balance: routes => {
      balanced = new Map(routes.map(route => [route.hostname, route]));
      merge();
    },
    close: stop,
  };
}

function canonical(host: string): string {
  return host.toLowerCase().replace(/\.$/, '');
}
