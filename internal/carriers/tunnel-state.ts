// How a tunnel stands: never run, connected whole, connected with losses, or gone, and since when.
// Source: docs/protocol/commands-and-api.md §9.2.

import type { TunnelActivity } from '../store/contract/records.ts';
import type { ActiveClient, TunnelState } from './live-connections.ts';

/** @param activity what the store knows of the tunnel, perhaps a moment late: whoever is connected now is in `clients` */
export function tunnelState(
  clients: readonly ActiveClient[],
  activity: TunnelActivity | undefined,
  nowMs: number,
): TunnelState {
  const living = clients.filter(client => client.connections.some(one => !one.pendingReconnect));
  if (living.length > 0) {
    const since = Math.min(...living.map(client => client.runAtMs));
    const remembered = activity?.inactiveAtMs === undefined ? activity?.activeAtMs : undefined;
    const isWhole = clients.every(
      client => client.missing.length === 0 && client.connections.every(one => !one.pendingReconnect),
    );
    return {
      status: isWhole ? 'healthy' : 'degraded',
      activeAtMs: Math.min(since, remembered ?? since),
      inactiveAtMs: undefined,
      clients,
      activity,
    };
  }
  if (clients.length === 0 && activity === undefined)
    return { status: 'inactive', activeAtMs: undefined, inactiveAtMs: undefined, clients, activity };
  return { status: 'down', activeAtMs: undefined, inactiveAtMs: activity?.inactiveAtMs ?? nowMs, clients, activity };
}

/** Whether the tunnel had a connection at that time, as far as its last time with connections tells. */
export function wasActiveAt({ activeAtMs, activity }: TunnelState, atMs: number): boolean {
  if (activeAtMs !== undefined) return activeAtMs <= atMs;
  return (
    activity !== undefined && activity.activeAtMs <= atMs && atMs < (activity.inactiveAtMs ?? Number.POSITIVE_INFINITY)
  );
}
