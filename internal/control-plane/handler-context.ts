// What the API handlers work with, and the small conversions they share.

import type { LiveConnections } from '../carriers/live-connections.ts';
import { parseTunnelId } from '../schema/api/id.ts';
import type { ApiTokenRecord, TunnelRecord } from '../store/contract/records.ts';
import type { Store } from '../store/contract/store.ts';
import type { SecretBox } from '../store/secret-box.ts';
import { apiProblem } from './api-problem.ts';

/** Where connectors dial this edge, for the tokens it gives out. */
export interface EdgeAddress {
  /** `host:port`, most preferred first. */
  readonly addresses: readonly string[];
  /** SHA-256 (hex) of the CA's subject public key info. */
  readonly caPin: string;
  /** Port of visitors that takes connectors too; undefined = there is none. */
  readonly sharedPort?: number | undefined;
}

/** Everything the handlers need of the edge around them. */
export interface ControlPlaneParts {
  readonly store: Store;
  readonly secrets: SecretBox;
  readonly live: LiveConnections;
  /** Asked for every token made, so a changed address is seen. */
  readonly describeEdge: () => EdgeAddress;
  readonly now: () => number;
  /** Undefined where nothing balances. */
  readonly balanceRoute?: BalanceRoute | undefined;
}

/** Somebody without a token. */
export interface Stranger {
  /** Where the request came from, as limits count it. */
  readonly address: string;
}

/** The caller of one request, whose path names this account or a zone of it. */
export interface Caller extends Stranger {
  readonly accountTag: string;
  /** What the call was made with. */
  readonly token: ApiTokenRecord;
  /** A handler tells the audit log what its call replaces, where no other call shows that. */
  readonly replaces?: (document: unknown) => void;
}

/** Leads a host name to a pool and puts a tunnel into that. Throws 'api.…' as calls do. */
export type BalanceRoute = (
  input: {
    /** Of the zone, in full. */
    readonly hostname: string;
    readonly zoneId: string;
    readonly poolName: string;
    /** The caller's. */
    readonly tunnel: TunnelRecord;
  },
  caller: Caller,
) => Promise<{
  readonly load_balancer: 'new' | 'updated' | 'unchanged';
  readonly pool: 'new' | 'updated' | 'unchanged';
}>;

/** The live tunnel `id` of the caller. Throws `api.not-found`: also for tunnels of others, so that ids cannot be probed. */
export async function requireTunnel(
  parts: Pick<ControlPlaneParts, 'store'>,
  caller: Caller,
  id: string,
): Promise<TunnelRecord> {
  const tunnelId = parseTunnelId(id);
  const tunnel = tunnelId === undefined ? undefined : await parts.store.tunnels.get(caller.accountTag, tunnelId);
  if (tunnel === undefined || tunnel.deletedAtMs !== undefined) throw apiProblem('notFound', 'Tunnel not found');
  return tunnel;
}

/** RFC 3339 in UTC. */
export function formatTime(ms: number): string {
  return new Date(ms).toISOString();
}

export function formatOptionalTime(ms: number | undefined): string | null {
  return ms === undefined ? null : formatTime(ms);
}

/** Throws `api.invalid` for a text that is no time; `key` names it. */
export function parseOptionalTime(key: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw apiProblem('invalid', `${key} must be an RFC 3339 time, not ${JSON.stringify(text)}`);
  return ms;
}

/** Whether something was there at a time; at any where none is asked for. */
export function existedAt(
  { createdAtMs, deletedAtMs }: { readonly createdAtMs: number; readonly deletedAtMs: number | undefined },
  atMs: number | undefined,
): boolean {
  return atMs === undefined || (createdAtMs <= atMs && (deletedAtMs === undefined || deletedAtMs > atMs));
}

/** The items of one page, of a list that is held whole. */
export function pageOf<T>(
  items: readonly T[],
  { page, perPage }: { readonly page: number; readonly perPage: number },
): { items: readonly T[]; total: number } {
  return { items: items.slice((page - 1) * perPage, page * perPage), total: items.length };
}
