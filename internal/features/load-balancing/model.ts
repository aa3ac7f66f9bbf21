// Load balancers, pools and members as the running edge knows them, made of what the store keeps. What members count lives
// on when a record changes.

import { createHash } from 'node:crypto';
import { type PrivateHost, parsePrivateHost } from '../../private-network/routes/private-host.ts';
import { parseTunnelId, type TunnelId } from '../../schema/api/id.ts';
import {
  type BalancerDocument,
  type MemberDocument,
  type MonitorDocument,
  type PoolDocument,
  putBalancerSchema,
  putMonitorSchema,
  putPoolSchema,
} from '../../schema/api/load-balancing.ts';
import type { BalancingRecord } from '../../store/contract/records.ts';

/** Where a member's requests go. */
export type MemberTarget =
  | { readonly kind: 'tunnel'; readonly tunnelId: TunnelId }
  /** A public host name that leads to a tunnel of the account. */
  | { readonly kind: 'hostname'; readonly hostname: string }
  | {
      readonly kind: 'private';
      /** Undefined = the account's default network. */
      readonly networkId: string | undefined;
      readonly host: PrivateHost;
      readonly port: number;
    };

/** Numbers of one member that outlive changes of its record. */
export interface MemberCounts {
  outstanding: number;
  answered: number;
  failed: number;
}

export interface Member {
  /** Of pool and name: the same on every edge and after a restart. 16 hex digits. */
  readonly key: string;
  readonly name: string;
  readonly address: string;
  readonly accountTag: string;
  readonly weight: number;
  /** Asked for in the place of the visitor's host. */
  readonly host: string | undefined;
  readonly target: MemberTarget;
  readonly counts: MemberCounts;
  /** Requests without a complete answer. */
  readonly outstanding: number;
}

export interface Pool {
  readonly id: string;
  readonly name: string;
  readonly accountTag: string;
  readonly enabled: boolean;
  readonly minimumHealthy: number;
  readonly steering: PoolDocument['origin_steering'];
  /** Enabled ones. */
  readonly members: readonly Member[];
  readonly monitor: MonitorDocument | undefined;
  /** Host that checks ask for where neither monitor nor member names one: that of a load balancer that uses the pool. */
  readonly checkHost: string | undefined;
}

export interface Balancer {
  readonly id: string;
  readonly hostname: string;
  readonly accountTag: string;
  readonly document: BalancerDocument;
  readonly pools: readonly Pool[];
  readonly fallback: Pool | undefined;
}

export interface Model {
  /** Enabled ones. */
  readonly balancers: readonly Balancer[];
  readonly pools: ReadonlyMap<string, Pool>;
}

/** Ends the name of a tunnel as an address, as stock tools write it. */
export const tunnelSuffix = '.cfargotunnel.com';

/** The tunnel that an address names: `<id>` or `<id>.cfargotunnel.com`. */
export function tunnelOfAddress(address: string): TunnelId | undefined {
  const lower = address.toLowerCase();
  return parseTunnelId(lower.endsWith(tunnelSuffix) ? lower.slice(0, -tunnelSuffix.length) : lower);
}

/** Undefined for what is no address. */
export function targetOf(
  document: Pick<MemberDocument, 'address' | 'port' | 'virtual_network_id'>,
): MemberTarget | undefined {
  const { address, port, virtual_network_id: networkId } = document;
  const tunnelId = tunnelOfAddress(address);
  if (tunnelId !== undefined) return { kind: 'tunnel', tunnelId };
  const host = parsePrivateHost(address.replace(/^\[(.*)\]$/, '$1'));
  if (host === undefined) return undefined;
  if (host.kind === 'name' && networkId === undefined) return { kind: 'hostname', hostname: host.name };
  return { kind: 'private', networkId, host, port: port === 0 ? 80 : port };
}

/** @param counts of members by key; those of members that are no more are forgotten */
export function createModel(records: Iterable<BalancingRecord>, counts: Map<string, MemberCounts>): Model {
  const monitors = new Map<string, MonitorDocument>();
  const pools = new Map<string, Pool>();
  const balancers: Balancer[] = [];
  const all = [...records];
  const ofKind = (kind: BalancingRecord['kind']) => all.filter(one => one.kind === kind);
  const used = new Set<string>();
  for (const record of ofKind('monitor')) {
    const document = putMonitorSchema.safeParse(JSON.parse(record.document));
    if (document.success) monitors.set(record.id, document.data);
  }
  const hosts = new Map<string, string>();
  for (const { name, uses } of ofKind('balancer'))
    for (const id of uses) if (!hosts.has(id) && !name.startsWith('*')) hosts.set(id, name);
  for (const record of ofKind('pool')) {
    const parsed = putPoolSchema.safeParse(JSON.parse(record.document));
    if (!parsed.success) continue;
    const { enabled, minimum_origins, monitor, origin_steering: steering, origins } = parsed.data;
    const members = origins.flatMap(origin => {
      const member = origin.enabled ? createMember(record, origin, counts) : undefined;
      if (member !== undefined) used.add(member.key);
      return member ?? [];
    });
    pools.set(record.id, {
      ...{ id: record.id, name: record.name, accountTag: record.accountTag, enabled, steering, members },
      minimumHealthy: Math.max(1, minimum_origins),
      monitor: monitors.get(monitor),
      checkHost: hosts.get(record.id),
    });
  }
  for (const { id, name, accountTag, document: text } of ofKind('balancer')) {
    const parsed = putBalancerSchema.safeParse(JSON.parse(text));
    if (!parsed.success || !parsed.data.enabled) continue;
    const own = (pool: string): Pool | undefined => {
      const found = pools.get(pool);
      return found?.accountTag === accountTag ? found : undefined;
    };
    balancers.push({
      ...{ id, hostname: name, accountTag, document: parsed.data },
      pools: parsed.data.default_pools.flatMap(pool => own(pool) ?? []),
      fallback: own(parsed.data.fallback_pool),
    });
  }
  for (const key of counts.keys()) if (!used.has(key)) counts.delete(key);
  return { balancers, pools };
}

function createMember(
  pool: BalancingRecord,
  document: MemberDocument,
  known: Map<string, MemberCounts>,
): Member | undefined {
  const target = targetOf(document);
  if (target === undefined) return undefined;
  const key = createHash('sha256').update(`${pool.id}\n${document.name}`).digest('hex').slice(0, 16);
  const counts = known.get(key) ?? { outstanding: 0, answered: 0, failed: 0 };
  known.set(key, counts);
  return {
    ...{ key, name: document.name, address: document.address, accountTag: pool.accountTag, weight: document.weight },
    host: document.header.Host?.[0] ?? (target.kind === 'hostname' ? target.hostname : undefined),
    ...{ target, counts },
    get outstanding() {
      return counts.outstanding;
    },
  };
}
