// The store seam: what an edge remembers over restarts. SQLite is the variant of now (sqlite/); one suite,
// test/conformance/store, holds every variant to what is said here. All methods are asynchronous so that a server
// database fits; a write that has resolved survives a crash. Failures of the medium throw `store.failed`, names and
// prefixes already taken `store.conflict`, and a call that could not have its turn in time `store.busy`: nothing was changed.

import type { TunnelId } from '../../schema/api-id.ts';
import type { ChangeFeed } from './changes.ts';
import type {
  AccountRecord,
  ApiTokenRecord,
  BalancingKind,
  BalancingRecord,
  ConfigurationRecord,
  EdgeRecord,
  HostnameRecord,
  IpRouteRecord,
  NetworkRecord,
  NewTunnel,
  Page,
  PresentClients,
  PrivateHostnameRecord,
  QuickTunnelRecord,
  StoredSecret,
  TunnelRecord,
  ZoneRecord,
} from './records.ts';

export interface AccountStore {
  /** Makes the account, its zone and its default virtual network in one step. `store.conflict` when the name is taken. */
  create(account: AccountRecord, zone: ZoneRecord, network: NetworkRecord): Promise<void>;
  byName(name: string): Promise<AccountRecord | undefined>;
  zone(id: string): Promise<ZoneRecord | undefined>;
  zonesOf(accountTag: string): Promise<readonly ZoneRecord[]>;
  setZoneDomain(id: string, domain: string): Promise<void>;
  addToken(token: ApiTokenRecord): Promise<void>;
  tokenByDigest(digest: Uint8Array): Promise<ApiTokenRecord | undefined>;
  removeToken(digest: Uint8Array): Promise<boolean>;
}

export interface TunnelFilter {
  readonly name?: string | undefined;
  readonly namePrefix?: string | undefined;
  readonly excludePrefix?: string | undefined;
  readonly id?: string | undefined;
  /** true = deleted ones only, false = live ones only, undefined = both. */
  readonly deleted?: boolean | undefined;
  /** Only tunnels that existed at this time. */
  readonly existedAtMs?: number | undefined;
  /** From 1. */
  readonly page: number;
  readonly perPage: number;
}

/** `busy`: private routes lead through it and no cascade was asked for. */
export type RemoveTunnel = 'removed' | 'missing' | 'busy';

export interface TunnelStore {
  /** `store.conflict` when a live tunnel of the account has the name, or the id is known. */
  create(tunnel: NewTunnel): Promise<TunnelRecord>;
  /** By id, for the edge itself; deleted ones too. */
  find(id: TunnelId): Promise<TunnelRecord | undefined>;
  /** By id, within an account; deleted ones too. */
  get(accountTag: string, id: TunnelId): Promise<TunnelRecord | undefined>;
  /** Newest first. */
  list(accountTag: string, filter: TunnelFilter): Promise<Page<TunnelRecord>>;
  /** Marks it deleted, erases its secret and configuration, removes its host names and, with cascade, its private routes. */
  remove(accountTag: string, id: TunnelId, options: { atMs: number; cascade: boolean }): Promise<RemoveTunnel>;
  /** The secret of a live tunnel. */
  secret(id: TunnelId): Promise<{ readonly accountTag: string; readonly secret: StoredSecret } | undefined>;
  configuration(id: TunnelId): Promise<ConfigurationRecord | undefined>;
  /** Stores the next version; undefined when there is no such live tunnel in the account. */
  setConfiguration(
    accountTag: string,
    id: TunnelId,
    config: string,
    atMs: number,
  ): Promise<ConfigurationRecord | undefined>;
}

/**
 * `taken`: leads to another tunnel of the account and overwriting was not asked; `foreign`: belongs to another account, as
 * its route or as its load balancer.
 */
export type RouteHostname = 'new' | 'updated' | 'unchanged' | 'taken' | 'foreign';

export interface HostnameStore {
  route(record: HostnameRecord, options: { overwrite: boolean }): Promise<RouteHostname>;
  get(hostname: string): Promise<HostnameRecord | undefined>;
  /** All of them, for the router's table; sorted by name. */
  list(): Promise<readonly HostnameRecord[]>;
  remove(accountTag: string, hostname: string): Promise<boolean>;
}

export interface QuickTunnelStore {
  /** Makes tunnel and host name together. `store.conflict` when the name is given out. */
  create(tunnel: NewTunnel, quick: QuickTunnelRecord): Promise<void>;
  list(): Promise<readonly QuickTunnelRecord[]>;
  /** Forgets the tunnels and their host names entirely, in one step; resolves to how many there were. */
  remove(ids: readonly TunnelId[]): Promise<number>;
}

/** Which edges run on this store and which tunnels are connected to them. May be lost in a power cut. */
export interface PresenceStore {
  /**
   * Counts the edge's beat on, and replaces what is known of the tunnels named; an undefined text removes one. Resolves to
   * false when the edge was not known: it is now, with nothing but these.
   */
  beat(edgeId: string, changed: ReadonlyMap<TunnelId, string | undefined>): Promise<boolean>;
  edges(): Promise<readonly EdgeRecord[]>;
  /** Of one tunnel, on all edges. */
  clientsOf(tunnelId: TunnelId): Promise<readonly PresentClients[]>;
  /** Tunnels with clients, by edge. */
  tunnels(): Promise<readonly Pick<PresentClients, 'edgeId' | 'tunnelId'>[]>;
  /** Forgets an edge and its clients; with `beat` only if the edge has not counted on since. */
  forget(edgeId: string, beat?: number): Promise<void>;
}

export interface NetworkChanges {
  readonly name?: string | undefined;
  readonly comment?: string | undefined;
  /** Only true has an effect: another network of the account loses it. */
  readonly isDefault?: boolean | undefined;
}

/** `busy`: routes are in it; `default`: it is the default network. */
export type RemoveNetwork = 'removed' | 'missing' | 'busy' | 'default';

export interface NetworkStore {
  /** `store.conflict` when a live network of the account has the name. With isDefault the former default loses it. */
  create(network: NetworkRecord): Promise<void>;
  /** `store.conflict` as `create`; undefined when there is no such live network. */
  update(accountTag: string, id: string, changes: NetworkChanges): Promise<NetworkRecord | undefined>;
  /** With `force` the routes in it are deleted too; the default network always stays. */
  remove(accountTag: string, id: string, options: { atMs: number; force: boolean }): Promise<RemoveNetwork>;
  get(accountTag: string, id: string): Promise<NetworkRecord | undefined>;
  /** Deleted ones too; oldest first. Without a tag those of all accounts. */
  list(accountTag?: string): Promise<readonly NetworkRecord[]>;
}

/** What may change of a route: where it leads, and what it is for. */
export type IpRouteChanges = {
  readonly [Key in 'tunnelId' | 'comment']?: IpRouteRecord[Key] | undefined;
};

export interface IpRouteStore {
  /** `store.conflict` when the network has a live route for exactly this prefix. Tunnel and network must be the account's. */
  create(route: IpRouteRecord): Promise<void>;
  /**
   * Changes what is given of a live route; undefined when the account has none of that id. Followers see the old one go and
   * the new one come, in one change. The tunnel must be the account's.
   */
  update(accountTag: string, id: string, changes: IpRouteChanges): Promise<IpRouteRecord | undefined>;
  remove(accountTag: string, id: string, atMs: number): Promise<IpRouteRecord | undefined>;
  /** Deleted ones too; oldest first. Without a tag those of all accounts. */
  list(accountTag?: string): Promise<readonly IpRouteRecord[]>;
}

export interface PrivateHostnameStore {
  /** `store.conflict` when the network has a live route for the name. Tunnel and network must be the account's. */
  create(route: PrivateHostnameRecord): Promise<void>;
  remove(accountTag: string, id: string, atMs: number): Promise<PrivateHostnameRecord | undefined>;
  /** Deleted ones too; oldest first. Without a tag those of all accounts. */
  list(accountTag?: string): Promise<readonly PrivateHostnameRecord[]>;
}

/** What may change of a record of load balancing. */
export type BalancingChanges = Pick<BalancingRecord, 'name' | 'document' | 'uses' | 'modifiedAtMs'>;

/** `stale`: somebody else changed it since it was read. */
export type ChangeBalancing = BalancingRecord | 'missing' | 'stale';

/** `busy`: another record uses it. */
export type RemoveBalancing = 'removed' | 'missing' | 'busy';

/** Monitors, pools and load balancers: see `BalancingRecord`. */
export interface BalancingStore {
  /**
   * `store.conflict` when the name is taken, for a balancer also by a host name of another account. `store.failed` when it
   * uses what is not the account's.
   */
  create(record: BalancingRecord): Promise<void>;
  /** Changes the record that still has this version. Throws as `create`. */
  change(
    accountTag: string,
    kind: BalancingKind,
    id: string,
    version: number,
    changes: BalancingChanges,
  ): Promise<ChangeBalancing>;
  remove(accountTag: string, kind: BalancingKind, id: string): Promise<RemoveBalancing>;
  /** Oldest first. Without a tag those of all accounts. */
  list(accountTag?: string): Promise<readonly BalancingRecord[]>;
}

/** What a store keeps, by subject. */
export interface StoreParts {
  readonly accounts: AccountStore;
  readonly tunnels: TunnelStore;
  readonly hostnames: HostnameStore;
  readonly quickTunnels: QuickTunnelStore;
  readonly presence: PresenceStore;
  readonly networks: NetworkStore;
  readonly ipRoutes: IpRouteStore;
  readonly privateHostnames: PrivateHostnameStore;
  readonly balancing: BalancingStore;
}

export interface Store extends StoreParts, AsyncDisposable {
  /** Tells every committed change, this process's and others'; changes.ts says when. */
  readonly changes: ChangeFeed;
  /** Finishes the calls made so far and ends it; later calls throw `store.failed`. May be called again. */
  close(): Promise<void>;
}
