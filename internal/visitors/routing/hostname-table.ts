// Which tunnel a visitor's host name leads to: the store's host names in memory, kept current by its change feed.
// An exact name wins over a wildcard, a longer wildcard over a shorter one.

import type { TunnelId } from '../../schema/api-id.ts';
import type { HostnameRecord } from '../../store/contract/records.ts';
import type { Store } from '../../store/contract/store.ts';

export interface HostnameTable {
  /** `host` as in the Host header, without port, in any case. */
  lookup(host: string): TunnelId | undefined;
  /** How `lookup` finds it: by its own name or by a wildcard. */
  routed(host: string): 'name' | 'wildcard' | undefined;
  close(): void;
}

/** Loads the table and follows the store. */
export async function openHostnameTable(store: Store, onError: (error: unknown) => void): Promise<HostnameTable> {
  const names = new Map<string, TunnelId>();
  const load = async (): Promise<void> => {
    const records = await store.hostnames.list();
    names.clear();
    for (const record of records) add(record);
  };
  const add = (record: HostnameRecord): void => {
    names.set(record.hostname, record.tunnelId);
  };
  const unsubscribe = store.changes.subscribe(change => {
    if (change.kind === 'hostname-routed') add(change.route);
    else if (change.kind === 'hostname-removed') names.delete(change.hostname);
    // The names of a deleted tunnel are removed one by one.
    else if (change.kind === 'reset') load().catch(onError);
  });
  await load();
  const lookup = (host: string): TunnelId | undefined => {
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
    lookup,
    routed: host => {
      if (names.has(canonical(host))) return 'name';
      return lookup(host) === undefined ? undefined : 'wildcard';
    },
    close: unsubscribe,
  };
}

function canonical(host: string): string {
  return host.toLowerCase().replace(/\.$/, '');
}
