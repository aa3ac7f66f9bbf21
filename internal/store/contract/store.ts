// The store seam: what an edge remembers over restarts. Its variants are SQLite (sqlite/) and PostgreSQL
// (postgres/); one suite, test/conformance/store, holds them to what is said here. All methods are asynchronous so that a server
// database fits; a write that has resolved survives a crash. Failures of the medium throw `store.failed`, names and
// prefixes already taken `store.conflict`, a call that could not have its turn in time `store.busy`, and one
// that a server database did not answer `store.away`: nothing was changed.

import type { TunnelId } from '../../schema/api/id.ts';
import type { ChangeFeed } from './changes.ts';
import type {
  AccountRecord,
  ApiTokenRecord,
  AuditEntry,
  AuditRecord,
  AuthorityAccountRecord,
  BalancingKind,
  BalancingRecord,
  CertificateRecord,
  ConfigurationRecord,
  DeviceRecord,
  EdgeRecord,
  GroupRecord,
  HostnameRecord,
  IpRouteRecord,
  IssuedRecord,
  LoginCodeRecord,
  NetworkRecord,
  NewApiToken,
  NewHostname,
  NewTunnel,
  Page,
  PresentClients,
  PrivateHostnameRecord,
  PublicPortRecord,
  QuickTunnelRecord,
  StoredSecret,
  TakenLoginCode,
  TunnelActivity,
  TunnelRecord,
  UserRecord,
  ZoneRecord,
} from './records.ts';

export interface AccountStore {
  /** Makes the account, its zone and its default virtual network in one step. `store.conflict` when the name is taken. */
  create(account: AccountRecord, zone: ZoneRecord, network: NetworkRecord): Promise<void>;
  byName(name: string): Promise<AccountRecord | undefined>;
  get(tag: string): Promise<AccountRecord | undefined>;
  zone(id: string): Promise<ZoneRecord | undefined>;
  zonesOf(accountTag: string): Promise<readonly ZoneRecord[]>;
  setZoneDomain(id: string, domain: string): Promise<void>;
  /**
   * Returns it as it is kept. `store.failed` when its user, device or parent is not the account's, or the device not the
   * user's.
   */
  addToken(token: NewApiToken): Promise<ApiTokenRecord>;
  /** Expired ones too. */
  tokenByDigest(digest: Uint8Array): Promise<ApiTokenRecord | undefined>;
  /** Expired ones too; oldest first. */
  tokens(accountTag: string): Promise<readonly ApiTokenRecord[]>;
  /** Which of these tokens there still are. */
  knownTokens(ids: readonly string[]): Promise<readonly string[]>;
  /**
   * Forgets a token and those that it let be made, which are told, and its login codes; false when the account has none of
   * that id.
   */
  revokeToken(accountTag: string, id: string): Promise<boolean>;
}

export interface UserStore {
  /** `store.conflict` when the account has a user of the name. */
  create(user: UserRecord): Promise<void>;
  get(accountTag: string, id: string): Promise<UserRecord | undefined>;
  /** By name. */
  list(accountTag: string): Promise<readonly UserRecord[]>;
  /** With devices, memberships, login codes, and tokens, which are told as revoked. False when there is none of that id. */
  remove(accountTag: string, id: string): Promise<boolean>;
  /** One code at a time: an earlier one of the user is forgotten. `store.failed` when its maker is gone. */
  setLoginCode(code: LoginCodeRecord): Promise<void>;
  /** What a code gives, once: the code is forgotten. Undefined for one that is not known or expired. */
  takeLoginCode(digest: Uint8Array, atMs: number): Promise<TakenLoginCode | undefined>;
}

export interface GroupStore {
  /** `store.conflict` when the account has a group of the name. Members must be the account's. */
  create(group: GroupRecord): Promise<void>;
  /** By name. */
  list(accountTag: string): Promise<readonly GroupRecord[]>;
  remove(accountTag: string, id: string): Promise<boolean>;
  /** Makes a user a member, or no longer. False when the account has no such group or user. */
  setMember(accountTag: string, groupId: string, userId: string, isMember: boolean): Promise<boolean>;
}

export interface DeviceStore {
  /** `store.conflict` when the account has a device of the name. The user must be the account's. */
  create(device: DeviceRecord): Promise<void>;
  /** By name. */
  list(accountTag: string): Promise<readonly DeviceRecord[]>;
  /** With its tokens, which are told as revoked. */
  remove(accountTag: string, id: string): Promise<boolean>;
}

export interface AuditFilter {
  readonly sinceMs?: number | undefined;
  readonly beforeMs?: number | undefined;
  /** Name or id of a user. */
  readonly user?: string | undefined;
  readonly action?: string | undefined;
  /** From 1. */
  readonly page: number;
  readonly perPage: number;
}

/** What changed and by whom. Bounded for each account: the oldest entries make room. */
export interface AuditStore {
  add(entry: AuditRecord): Promise<void>;
  /** Newest first. */
  list(accountTag: string, filter: AuditFilter): Promise<Page<AuditEntry>>;
}

/** When tokens were last used. May be lost in a power cut. */
export interface TokenUseStore {
  mark(tokenId: string, atMs: number): Promise<void>;
  /** By token id; a token that was never used is not in it. */
  of(tokenIds: readonly string[]): Promise<ReadonlyMap<string, number>>;
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

/** What may change of a tunnel. */
export interface TunnelChanges {
  readonly name?: string | undefined;
  readonly secret?: StoredSecret | undefined;
  /** With `secret`: until when the one before it is good too; undefined = it ends now. */
  readonly oldSecretUntilMs?: number | undefined;
}

/** What a live tunnel's connectors register with. */
export interface TunnelSecret {
  readonly accountTag: string;
  readonly secret: StoredSecret;
  /** The one before it, as long as it is kept; whether it is still good, its time tells. */
  readonly old?: { readonly hash: Uint8Array; readonly untilMs: number } | undefined;
  /** Whether it is configured from the edge. */
  readonly remote: boolean;
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
  /** `store.conflict` as `create`; undefined when the account has no such live tunnel. */
  update(accountTag: string, id: TunnelId, changes: TunnelChanges): Promise<TunnelRecord | undefined>;
  /** Newest first. */
  list(accountTag: string, filter: TunnelFilter): Promise<Page<TunnelRecord>>;
  /** Marks it deleted, erases its secret and configuration, removes its host names and ports and, with cascade, its private routes. */
  remove(accountTag: string, id: TunnelId, options: { atMs: number; cascade: boolean }): Promise<RemoveTunnel>;
  secret(id: TunnelId): Promise<TunnelSecret | undefined>;
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

/** What may change of a host name, and when it did. */
export type HostnameChanges = {
  readonly [Key in 'hostname' | 'tunnelId' | 'comment' | 'tls']?: HostnameRecord[Key] | undefined;
} & { readonly atMs: number };

export interface HostnameStore {
  route(record: NewHostname, options: { overwrite: boolean }): Promise<RouteHostname>;
  get(hostname: string): Promise<HostnameRecord | undefined>;
  /** All of them, for the router's table, or those of an account; sorted by name. */
  list(accountTag?: string): Promise<readonly HostnameRecord[]>;
  /**
   * `store.conflict` when the new name leads somewhere, of whichever account; undefined when the account has none of that
   * id. Followers see the old name go and the new one come, in one change. The tunnel must be the account's.
   */
  update(accountTag: string, id: string, changes: HostnameChanges): Promise<HostnameRecord | undefined>;
  /** By id; false when the account has none of that id. */
  remove(accountTag: string, id: string): Promise<boolean>;
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
   * false when the edge was not known: it is now, with nothing but these. `atMs` is when a tunnel that came first, or went
   * last, of all edges did so.
   */
  beat(edgeId: string, changed: ReadonlyMap<TunnelId, string | undefined>, atMs: number): Promise<boolean>;
  edges(): Promise<readonly EdgeRecord[]>;
  /** Of one tunnel, on all edges. */
  clientsOf(tunnelId: TunnelId): Promise<readonly PresentClients[]>;
  /** Tunnels with clients, by edge. */
  tunnels(): Promise<readonly Pick<PresentClients, 'edgeId' | 'tunnelId'>[]>;
  /** Of the tunnels that were ever connected, without those that the store has forgotten. */
  activity(): Promise<readonly TunnelActivity[]>;
  /** Forgets an edge and its clients; with `beat` only if the edge has not counted on since. */
  forget(edgeId: string, atMs: number, beat?: number): Promise<void>;
  /** Forgets the activity of tunnels that are gone for good. */
  forgetTunnels(ids: readonly TunnelId[]): Promise<void>;
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

/** What may change of a route: from where it leads where to, and what it is for. */
export type IpRouteChanges = {
  readonly [Key in 'networkId' | 'prefix' | 'tunnelId' | 'comment']?: IpRouteRecord[Key] | undefined;
};

export type PrivateHostnameChanges = {
  readonly [Key in 'networkId' | 'hostname' | 'tunnelId' | 'comment']?: PrivateHostnameRecord[Key] | undefined;
};

export interface IpRouteStore {
  /** `store.conflict` when the network has a live route for exactly this prefix. Tunnel and network must be the account's. */
  create(route: IpRouteRecord): Promise<void>;
  /**
   * Changes what is given of a live route; undefined when the account has none of that id. `store.conflict` as `create`.
   * Followers see the old one go and the new one come, in one change. Tunnel and network must be the account's.
   */
  update(accountTag: string, id: string, changes: IpRouteChanges): Promise<IpRouteRecord | undefined>;
  remove(accountTag: string, id: string, atMs: number): Promise<IpRouteRecord | undefined>;
  /** Deleted ones too; oldest first. Without a tag those of all accounts. */
  list(accountTag?: string): Promise<readonly IpRouteRecord[]>;
}

export interface PrivateHostnameStore {
  /** `store.conflict` when the network has a live route for the name. Tunnel and network must be the account's. */
  create(route: PrivateHostnameRecord): Promise<void>;
  /** As that of routes by prefix. */
  update(accountTag: string, id: string, changes: PrivateHostnameChanges): Promise<PrivateHostnameRecord | undefined>;
  remove(accountTag: string, id: string, atMs: number): Promise<PrivateHostnameRecord | undefined>;
  /** Deleted ones too; oldest first. Without a tag those of all accounts. */
  list(accountTag?: string): Promise<readonly PrivateHostnameRecord[]>;
}

/** `full`: the account has as many ports as it may. */
export type CreatePublicPort = 'created' | 'full';

/** Ports of the edge that lead to tunnels. */
export interface PublicPortStore {
  /**
   * Unless the account has `maxPerAccount` of them. `store.conflict` when the port is given out, to whichever account. The
   * tunnel must be the account's.
   */
  create(record: PublicPortRecord, maxPerAccount: number): Promise<CreatePublicPort>;
  remove(accountTag: string, id: string): Promise<PublicPortRecord | undefined>;
  /** By port. Without a tag those of all accounts. */
  list(accountTag?: string): Promise<readonly PublicPortRecord[]>;
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

/** Who wants to ask an authority, for which name, and how often that may be. */
export interface CertificateClaim {
  readonly authority: string;
  readonly name: string;
  readonly accountTag: string;
  readonly nowMs: number;
  /** Until then nobody else asks for the name, should this one never say how it ended. */
  readonly untilMs: number;
  /** Only orders after this time count. */
  readonly sinceMs: number;
  readonly maxOfAccount: number;
  readonly maxOfAuthority: number;
}

/** `held`: its time has not come, or somebody asks already; `account`, `authority`: so many orders were made. */
export type ClaimCertificate = 'claimed' | 'held' | 'account' | 'authority';

/** Certificates of public authorities. Edges on one store ask for a name one at a time. */
export interface CertificateStore {
  /** By name. */
  list(authority: string): Promise<readonly CertificateRecord[]>;
  /** Counts an order when it says `claimed`, but for the renewal of a certificate, which no limit refuses. */
  claim(claim: CertificateClaim): Promise<ClaimCertificate>;
  keep(authority: string, name: string, issued: IssuedRecord, nextAtMs: number): Promise<void>;
  fail(authority: string, name: string, problem: string, nextAtMs: number): Promise<void>;
  /** Only the time: the authority suggests another. */
  postpone(authority: string, name: string, nextAtMs: number): Promise<void>;
  remove(authority: string, name: string): Promise<void>;
  account(authority: string): Promise<AuthorityAccountRecord | undefined>;
  setAccount(account: AuthorityAccountRecord): Promise<void>;
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
  readonly publicPorts: PublicPortStore;
  readonly balancing: BalancingStore;
  readonly certificates: CertificateStore;
  readonly users: UserStore;
  readonly groups: GroupStore;
  readonly devices: DeviceStore;
  readonly audit: AuditStore;
  readonly tokenUses: TokenUseStore;
}

export interface Store extends StoreParts, AsyncDisposable {
  /** Tells every committed change, this process's and others'; changes.ts says when. */
  readonly changes: ChangeFeed;
  /** False while a server database is away: calls throw 'store.away' then, and the feed tells nothing of other edges. */
  isReachable(): boolean;
  /** Finishes the calls made so far and ends it; later calls throw `store.failed`. May be called again. */
  close(): Promise<void>;
}
