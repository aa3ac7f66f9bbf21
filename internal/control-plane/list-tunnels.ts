// The listing of tunnels: by what is stored of them, and by how they stand. Source: docs/protocol/commands-and-api.md §9.3.

import type * as z from 'zod';
import type { TunnelState } from '../carriers/live-connections.ts';
import { wasActiveAt } from '../carriers/tunnel-state.ts';
import { maxPerPage } from '../schema/api/common.ts';
import type { tunnelQuerySchema } from '../schema/api/tunnel.ts';
import type { TunnelRecord } from '../store/contract/records.ts';
import type { TunnelFilter } from '../store/contract/store.ts';
import { type ControlPlaneParts, existedAt, pageOf, parseOptionalTime } from './handler-context.ts';
import { perPageOf } from './paging.ts';
import { showTunnel } from './show-tunnel.ts';

type Query = z.output<typeof tunnelQuerySchema>;
type Parts = Pick<ControlPlaneParts, 'store' | 'live'>;

/** One page, newest first. Throws `api.invalid` for a time that is none. */
export async function listTunnels(parts: Parts, accountTag: string, query: Query) {
  const activeAtMs = parseOptionalTime('was_active_at', query.was_active_at);
  const inactiveAtMs = parseOptionalTime('was_inactive_at', query.was_inactive_at);
  const stored: Omit<TunnelFilter, 'page' | 'perPage'> = {
    name: query.name,
    namePrefix: query.include_prefix ?? query.name_prefix,
    excludePrefix: query.exclude_prefix,
    id: query.uuid,
    deleted: query.is_deleted,
    existedAtMs: parseOptionalTime('existed_at', query.existed_at),
  };
  const paging = { page: query.page, perPage: perPageOf(query) };
  if (query.status === undefined && activeAtMs === undefined && inactiveAtMs === undefined) {
    const page = await parts.store.tunnels.list(accountTag, { ...stored, ...paging });
    return { items: (await withStates(parts, page.items)).map(show), total: page.total };
  }
  const found = (await withStates(parts, await allTunnels(parts, accountTag, stored))).filter(
    ({ tunnel, state }) =>
      (query.status === undefined || (state?.status ?? 'inactive') === query.status) &&
      (activeAtMs === undefined || (state !== undefined && wasActiveAt(state, activeAtMs))) &&
      (inactiveAtMs === undefined ||
        (existedAt(tunnel, inactiveAtMs) && !(state !== undefined && wasActiveAt(state, inactiveAtMs)))),
  );
  const page = pageOf(found, paging);
  return { items: page.items.map(show), total: page.total };
}

interface Standing {
  readonly tunnel: TunnelRecord;
  /** Undefined for a deleted one. */
  readonly state: TunnelState | undefined;
}

async function withStates({ live }: Parts, tunnels: readonly TunnelRecord[]): Promise<readonly Standing[]> {
  const states = await live.states(tunnels.filter(one => one.deletedAtMs === undefined).map(one => one.id));
  return tunnels.map(tunnel => ({ tunnel, state: states.get(tunnel.id) }));
}

/** How tunnels stand is not in the store's table, so all of them are looked at. */
async function allTunnels(
  { store }: Parts,
  accountTag: string,
  filter: Omit<TunnelFilter, 'page' | 'perPage'>,
): Promise<readonly TunnelRecord[]> {
  const all: TunnelRecord[] = [];
  for (let page = 1; ; page += 1) {
    const { items, total } = await store.tunnels.list(accountTag, { ...filter, page, perPage: maxPerPage });
    all.push(...items);
    if (items.length === 0 || all.length >= total) return all;
  }
}

function show({ tunnel, state }: Standing) {
  return showTunnel(tunnel, state);
}
