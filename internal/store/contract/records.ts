// What the edge's store keeps, as plain data. Times are milliseconds since the epoch; a deletion time of undefined means
// alive. Source: docs/protocol/commands-and-api.md §9.2.

import type { TunnelId } from '../../schema/api/id.ts';

/** Owner of tunnels, zones, networks and API tokens. */
export interface AccountRecord {
  /** 32 hex digits. */
  readonly tag: string;
  /** Unique on this edge. */
  readonly name: string;
  readonly createdAtMs: number;
}

/** A domain whose subdomains an account gives to its tunnels. */
export interface ZoneRecord {
  /** 32 hex digits. */
  readonly id: string;
  readonly accountTag: string;
  /** Lower case, without trailing dot. */
  readonly domain: string;
}

/** Somebody of an account. */
export interface UserRecord {
  /** UUID. */
  readonly id: string;
  readonly accountTag: string;
  /** Unique in the account, perhaps an e-mail address. */
  readonly name: string;
  /** What tokens of this user may be good for at most; see api/scopes.ts. */
  readonly scopes: readonly string[];
  readonly createdAtMs: number;
}

/** Users under one name, for policies. */
export interface GroupRecord {
  /** UUID. */
  readonly id: string;
  readonly accountTag: string;
  /** Unique in the account. */
  readonly name: string;
  readonly createdAtMs: number;
  /** Ids of users, sorted. */
  readonly members: readonly string[];
}

/** A machine of a user. */
export interface DeviceRecord {
  /** UUID. */
  readonly id: string;
  readonly accountTag: string;
  readonly userId: string;
  /** Unique in the account. */
  readonly name: string;
  readonly createdAtMs: number;
}

/** An API token; only its digest is kept. Without a user it is a service's, or the operator's own. */
export interface ApiTokenRecord {
  /** 32 hex digits. */
  readonly id: string;
  /** SHA-256 of the token text. */
  readonly digest: Uint8Array;
  readonly accountTag: string;
  readonly userId: string | undefined;
  readonly deviceId: string | undefined;
  /** The token that let this one be made by a login; it is revoked with that. */
  readonly parentId: string | undefined;
  /** For people: where the token went. */
  readonly label: string;
  /** What it is good for; see api/scopes.ts. */
  readonly scopes: readonly string[];
  readonly createdAtMs: number;
  /** From then on it is as good as revoked; undefined = never. */
  readonly expiresAtMs: number | undefined;
}

/** A token to be kept; what is left out: a new id, nobody's, good for everything, for ever. */
export type NewApiToken = Pick<ApiTokenRecord, 'digest' | 'accountTag' | 'label' | 'createdAtMs'> &
  Partial<ApiTokenRecord>;

/** A code that lets a user log in once; only its digest is kept. */
export interface LoginCodeRecord {
  /** SHA-256 of the code. */
  readonly digest: Uint8Array;
  readonly userId: string;
  readonly expiresAtMs: number;
  /** The API token that made the code, which is forgotten with it. */
  readonly makerId?: string | undefined;
  /** When the token that the code lets one have expires; undefined = never. */
  readonly tokenExpiresAtMs?: number | undefined;
}

/** What a login code gave. */
export type TakenLoginCode = Pick<LoginCodeRecord, 'makerId' | 'tokenExpiresAtMs'> & { readonly user: UserRecord };

/** One change, as the audit log keeps it. Names are those of its time. */
export interface AuditRecord {
  readonly accountTag: string;
  readonly atMs: number;
  /** Words of what was done: `create tunnel`. */
  readonly action: string;
  /** What it was done to, as a path: `/accounts/…/cfd_tunnel/…`. */
  readonly target: string;
  /** Empty for a token of nobody. */
  readonly userId: string;
  readonly userName: string;
  readonly tokenId: string;
  readonly tokenName: string;
  /** Address the call came from. */
  readonly address: string;
  /** JSON texts without secrets; undefined where there was nothing. */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** An entry of the log; ids count up. */
export type AuditEntry = AuditRecord & { readonly id: number };

/** A tunnel's secret at rest: see secret-box.ts. */
export interface StoredSecret {
  /** Salt and digest; enough to check a secret, not to learn it. */
  readonly hash: Uint8Array;
  /** The secret encrypted with the edge's key, for the token endpoint only. */
  readonly sealed: Uint8Array;
}

export interface TunnelRecord {
  readonly id: TunnelId;
  readonly accountTag: string;
  /** Unique among the account's tunnels that are not deleted. */
  readonly name: string;
  readonly createdAtMs: number;
  readonly deletedAtMs: number | undefined;
  /** 0 = none was set; else the version of the remote configuration. */
  readonly configVersion: number;
  /** Whether it was made to be configured from the edge, or has been since. */
  readonly remote: boolean;
}

export interface NewTunnel {
  readonly id: TunnelId;
  readonly accountTag: string;
  readonly name: string;
  readonly secret: StoredSecret;
  readonly createdAtMs: number;
  /** Made to be configured from the edge. Default false. */
  readonly remote?: boolean | undefined;
}

export interface ConfigurationRecord {
  readonly tunnelId: TunnelId;
  /** From 1; each change adds one. */
  readonly version: number;
  /** JSON text as pushed to connectors. */
  readonly config: string;
  readonly updatedAtMs: number;
}

/**
 * What happens to the TLS of visitors of a host name: the edge ends it, or passes it on unopened, after a header of the PROXY
 * protocol or none.
 */
export type HostnameTls = 'terminate' | 'passthrough' | 'passthrough-v1' | 'passthrough-v2';

/** A public host name, as it is given to the store. */
export interface NewHostname {
  /** Lower case ASCII; `*.suffix` for a wildcard. */
  readonly hostname: string;
  readonly tunnelId: TunnelId;
  readonly accountTag: string;
  readonly createdAtMs: number;
  /** Default empty. */
  readonly comment?: string | undefined;
  /** Default: as it is, and 'terminate' for a new one. */
  readonly tls?: HostnameTls | undefined;
}

/** A public host name that leads to a tunnel. */
export interface HostnameRecord extends NewHostname {
  /** 32 hex digits, given by the store; it stays when the name changes. */
  readonly id: string;
  readonly comment: string;
  readonly tls: HostnameTls;
  readonly modifiedAtMs: number;
}

export interface QuickTunnelRecord {
  readonly tunnelId: TunnelId;
  readonly hostname: string;
  /** Address the request came from, as the limits count it (an IPv6 /64). */
  readonly clientAddress: string;
  readonly createdAtMs: number;
}

/** An edge that runs, or ran, on this store. */
export interface EdgeRecord {
  readonly id: string;
  /** Grows while the edge lives; a number that stands still tells of one that is gone, whatever its clock shows. */
  readonly beat: number;
}

/** Since when a tunnel is connected, or not. */
export interface TunnelActivity {
  readonly tunnelId: TunnelId;
  /** When the first of its connections came, of those that followed each other without a gap. */
  readonly activeAtMs: number;
  /** When the last one went; undefined while it is connected. */
  readonly inactiveAtMs: number | undefined;
}

/** The connectors of one tunnel that are connected to one edge. */
export interface PresentClients {
  readonly edgeId: string;
  readonly tunnelId: TunnelId;
  /** JSON text, the writer's own. */
  readonly clients: string;
}

export interface NetworkRecord {
  /** UUID. */
  readonly id: string;
  readonly accountTag: string;
  /** Unique among the account's networks that are not deleted. */
  readonly name: string;
  readonly comment: string;
  /** Exactly one live network of an account has it. */
  readonly isDefault: boolean;
  readonly createdAtMs: number;
  readonly deletedAtMs: number | undefined;
}

/** A private prefix reached through a tunnel. */
export interface IpRouteRecord {
  /** UUID. */
  readonly id: string;
  readonly accountTag: string;
  readonly networkId: string;
  /** Canonical CIDR text with no host bits set: `10.0.0.0/8`, `fd00::/8`. */
  readonly prefix: string;
  readonly tunnelId: TunnelId;
  readonly comment: string;
  readonly createdAtMs: number;
  readonly deletedAtMs: number | undefined;
}

/** A private host name reached through a tunnel and resolved at its connector. */
export interface PrivateHostnameRecord {
  /** UUID. */
  readonly id: string;
  readonly accountTag: string;
  readonly networkId: string;
  /** Lower case ASCII; `*.suffix` for a wildcard. */
  readonly hostname: string;
  readonly tunnelId: TunnelId;
  readonly comment: string;
  readonly createdAtMs: number;
  readonly deletedAtMs: number | undefined;
}

export type PortProtocol = 'tcp' | 'udp';

/** A public port of the edge that leads to a tunnel. */
export interface PublicPortRecord {
  /** UUID. */
  readonly id: string;
  readonly accountTag: string;
  readonly protocol: PortProtocol;
  /** Unique among the ports of the protocol, of all accounts. */
  readonly port: number;
  readonly tunnelId: TunnelId;
  /** JSON text, the writer's own: where it leads behind the tunnel, and its limits. */
  readonly document: string;
  readonly createdAtMs: number;
}

export type BalancingKind = 'monitor' | 'pool' | 'balancer';

/** A health monitor, a pool of origins, or a load balancer. */
export interface BalancingRecord {
  /** 32 hex digits. */
  readonly id: string;
  readonly kind: BalancingKind;
  readonly accountTag: string;
  /** A balancer's, whose host name is of it. */
  readonly zoneId: string | undefined;
  /** Unique among the account's of the kind; a balancer's is a host name, and unique on this edge. */
  readonly name: string;
  /** JSON text, the writer's own. */
  readonly document: string;
  /** Ids of the account's other records that it needs: a pool's monitor, a balancer's pools. Sorted, each once. */
  readonly uses: readonly string[];
  /** From 1; each change adds one. */
  readonly version: number;
  readonly createdAtMs: number;
  readonly modifiedAtMs: number;
}

/** The account of this edge at a certificate authority. */
export interface AuthorityAccountRecord {
  /** URL of the authority's directory. */
  readonly authority: string;
  /** URL of the account. */
  readonly url: string;
  /** Its private key, sealed. */
  readonly sealedKey: Uint8Array;
}

/** A public certificate, or one that was asked for. */
export interface CertificateRecord {
  /** URL of the authority's directory. */
  readonly authority: string;
  /** Host name or wildcard. */
  readonly name: string;
  /** Whose name it is. */
  readonly accountTag: string;
  /** The last one that the authority gave; it stays while a renewal fails. */
  readonly issued: IssuedRecord | undefined;
  readonly attemptedAtMs: number;
  /** When it is asked for again, to renew it or after a failure. */
  readonly nextAtMs: number;
  /** In a row, the last attempts. */
  readonly failures: number;
  /** What went wrong the last time. */
  readonly problem: string | undefined;
}

export interface IssuedRecord {
  /** PEM. */
  readonly chain: string;
  /** The private key, sealed. */
  readonly sealedKey: Uint8Array;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

/** One page of a listing. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Items on all pages. */
  readonly total: number;
}
