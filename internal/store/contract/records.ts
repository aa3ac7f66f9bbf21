// What the edge's store keeps, as plain data. Times are milliseconds since the epoch; a deletion time of undefined means
// alive. Source: docs/protocol/commands-and-api.md §9.2.

import type { TunnelId } from '../../schema/api-id.ts';

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

/** An API token; only its digest is kept. */
export interface ApiTokenRecord {
  /** SHA-256 of the token text. */
  readonly digest: Uint8Array;
  readonly accountTag: string;
  /** For people: where the token went. */
  readonly label: string;
  readonly createdAtMs: number;
}

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
  /** 0 = locally managed; else the version of the remote configuration. */
  readonly configVersion: number;
}

export interface NewTunnel {
  readonly id: TunnelId;
  readonly accountTag: string;
  readonly name: string;
  readonly secret: StoredSecret;
  readonly createdAtMs: number;
}

export interface ConfigurationRecord {
  readonly tunnelId: TunnelId;
  /** From 1; each change adds one. */
  readonly version: number;
  /** JSON text as pushed to connectors. */
  readonly config: string;
  readonly updatedAtMs: number;
}

/** A public host name that leads to a tunnel. */
export interface HostnameRecord {
  /** Lower case ASCII; `*.suffix` for a wildcard. */
  readonly hostname: string;
  readonly tunnelId: TunnelId;
  readonly accountTag: string;
  readonly createdAtMs: number;
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

/** One page of a listing. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Items on all pages. */
  readonly total: number;
}
