// The feed of store changes, which those who keep something of the store in memory follow. Listeners hear of every change
// once, in the order of the commits. When they hear of it is left to the variant: a writing call may return before, and a
// read may show a change that is still to be told. Both tell their own process before the writing call returns. Of
// other processes' writes SQLite tells by a `reset`, PostgreSQL by the changes themselves as long as it has them. follow/follow-table.ts is the way to keep a table right under these rules.

import type { TunnelId } from '../../schema/api/id.ts';
import type {
  BalancingRecord,
  ConfigurationRecord,
  HostnameRecord,
  IpRouteRecord,
  NetworkRecord,
  PrivateHostnameRecord,
  PublicPortRecord,
  TunnelRecord,
} from './records.ts';

export type StoreChange =
  | { readonly kind: 'tunnel-created'; readonly tunnel: TunnelRecord }
  | { readonly kind: 'tunnel-deleted'; readonly tunnelId: TunnelId; readonly accountTag: string }
  /** The tunnel's secret was replaced, and the one before it ends at a known time (TunnelChanges). */
  | { readonly kind: 'secret-rotated'; readonly tunnelId: TunnelId }
  | { readonly kind: 'configuration'; readonly configuration: ConfigurationRecord }
  | { readonly kind: 'hostname-routed'; readonly route: HostnameRecord }
  | { readonly kind: 'hostname-removed'; readonly hostname: string; readonly tunnelId: TunnelId }
  | { readonly kind: 'network-changed'; readonly network: NetworkRecord }
  | { readonly kind: 'network-deleted'; readonly networkId: string }
  | { readonly kind: 'ip-route-added'; readonly route: IpRouteRecord }
  | { readonly kind: 'ip-route-deleted'; readonly route: IpRouteRecord }
  | { readonly kind: 'private-hostname-added'; readonly route: PrivateHostnameRecord }
  | { readonly kind: 'private-hostname-deleted'; readonly route: PrivateHostnameRecord }
  | { readonly kind: 'balancing-changed'; readonly record: BalancingRecord }
  | { readonly kind: 'balancing-removed'; readonly record: BalancingRecord }
  | { readonly kind: 'public-port-added'; readonly route: PublicPortRecord }
  | { readonly kind: 'public-port-removed'; readonly route: PublicPortRecord }
  /** The token is no longer good: removed by itself, or with its user or device. Expiry is not told. */
  | { readonly kind: 'token-revoked'; readonly tokenId: string }
  /** Another process changed the store, anything may be different: read tables again. */
  | { readonly kind: 'reset' };

export type ChangeListener = (change: StoreChange) => void;

/** One for a store; listeners are called synchronously and must not throw. */
export class ChangeFeed {
  readonly #listeners = new Set<ChangeListener>();

  /** Calls `listener` for every change from now on; it must not throw. Returns what stops it. */
  subscribe(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** For store variants: tells the listeners. */
  publish(change: StoreChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}
