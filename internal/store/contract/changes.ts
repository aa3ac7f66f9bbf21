// The feed of store changes: running listeners keep their tables in memory and follow this. Listeners run right after the
// commit, in order, before the writing call resolves, so a caller sees its own write everywhere at once.

import type { TunnelId } from '../../schema/api-id.ts';
import type {
  ConfigurationRecord,
  HostnameRecord,
  IpRouteRecord,
  NetworkRecord,
  PrivateHostnameRecord,
  TunnelRecord,
} from './records.ts';

export type StoreChange =
  | { readonly kind: 'tunnel-created'; readonly tunnel: TunnelRecord }
  | { readonly kind: 'tunnel-deleted'; readonly tunnelId: TunnelId; readonly accountTag: string }
  | { readonly kind: 'configuration'; readonly configuration: ConfigurationRecord }
  | { readonly kind: 'hostname-routed'; readonly route: HostnameRecord }
  | { readonly kind: 'hostname-removed'; readonly hostname: string; readonly tunnelId: TunnelId }
  | { readonly kind: 'network-changed'; readonly network: NetworkRecord }
  | { readonly kind: 'network-deleted'; readonly networkId: string }
  | { readonly kind: 'ip-route-added'; readonly route: IpRouteRecord }
  | { readonly kind: 'ip-route-deleted'; readonly route: IpRouteRecord }
  | { readonly kind: 'private-hostname-added'; readonly route: PrivateHostnameRecord }
  | { readonly kind: 'private-hostname-deleted'; readonly route: PrivateHostnameRecord }
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
