// What the calls on private routes look up: networks, and the names of what a route leads through.

import { apiProblem } from '../../control-plane/api-problem.ts';
import type { Caller, ControlPlaneParts } from '../../control-plane/handler-context.ts';
import { isPosternError } from '../../errors/error.ts';
import type { IpRouteRecord, NetworkRecord } from '../../store/contract/records.ts';

/** Empty texts for what is gone. */
export interface RouteNames {
  tunnel(id: string): string;
  network(id: string): string;
}

export function createRouteLookups({ store }: Pick<ControlPlaneParts, 'store'>) {
  return {
    /** The live network a route belongs in: the one named, else the account's default. Throws `api.not-found`. */
    async requireNetwork(caller: Caller, id: string | undefined): Promise<NetworkRecord> {
      const networks = await store.networks.list(caller.accountTag);
      const found = networks.find(
        network => network.deletedAtMs === undefined && (id === undefined ? network.isDefault : network.id === id),
      );
      if (found === undefined) throw apiProblem('notFound', 'Virtual network not found');
      return found;
    },

    /** Each tunnel is looked up once. */
    async names(routes: readonly Pick<IpRouteRecord, 'accountTag' | 'tunnelId'>[]): Promise<RouteNames> {
      const [first] = routes;
      const networks = first === undefined ? [] : await store.networks.list(first.accountTag);
      const tunnels = new Map<string, string>();
      for (const { tunnelId } of routes)
        if (!tunnels.has(tunnelId)) tunnels.set(tunnelId, (await store.tunnels.find(tunnelId))?.name ?? '');
      return {
        tunnel: id => tunnels.get(id) ?? '',
        network: id => networks.find(network => network.id === id)?.name ?? '',
      };
    },
  };
}

/** Runs a write; a conflict is told as a route that is there already, of this kind of thing. */
export async function conflictsAreRoutes<T>(what: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (!isPosternError(error, 'store.conflict')) throw error;
    throw apiProblem('routeExists', `You already have a route defined for this exact ${what}`);
  }
}
