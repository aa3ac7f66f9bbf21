// Which tunnel a visitor's host name leads to: the store's host names in memory, which follow the store.
// An exact name wins over a wildcard, a longer wildcard over a shorter one.

import { hostOf } from '../../net/address/host-port.ts';
import type { TunnelId } from '../../schema/api/id.ts';
import type { Store } from '../../store/contract/store.ts';
import { followTable } from '../../store/follow/follow-table.ts';

/** A host name, or a wildcard such as `*.example.com`, and where it leads. */
export interface HostnameRoute {
  readonly hostname: string;
  readonly tunnelId: TunnelId;
}

export interface HostnameTable {
  /** `host` as in the Host header, with or without port, in any case. */
  routeOf(host: string): HostnameRoute | undefined;
  /** Whether there is a route of exactly this name. */
  has(hostname: string): boolean;
  /** How `routeOf` finds it: by its own name or by a wildcard. */
  routed(host: string): 'name' | 'wildcard' | undefined;
  close(): void;
}

/** Loads the table and follows the store. Throws `store.failed`. `onError` hears of failed re-reads. */
export async function openHostnameTable(store: Store, onError: (error: unknown) => void): Promise<HostnameTable> {
  let names = new Map<string, HostnameRoute>();
  const stop = await followTable(store.changes, {
    read: () => store.hostnames.list(),
    replace: records => {
      names = new Map(records.map(record => [record.hostname, record]));
    },
    apply: change => {
      if (change.kind === 'hostname-routed') names.set(change.route.hostname, change.route);
      // The names of a deleted tunnel are removed one by one.
      else if (change.kind === 'hostname-removed') names.delete(change.hostname);
      else return false;
      return true;
    },
    onError,
  });
  const routeOf = (given: string): HostnameRoute | undefined => {
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
    close: stop,
  };
}

function canonical(host: string): string {
  return host.toLowerCase().replace(/\.$/, '');
}
