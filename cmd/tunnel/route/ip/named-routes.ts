// The live private routes of an account with the names of their virtual networks, for the commands that answer questions.

import type { ApiIpRoute } from '../../../../internal/schema/api/private-route.ts';
import type { ApiSession } from '../../api.ts';

export interface NamedRoute extends ApiIpRoute {
  readonly networkName: string;
  readonly isDefaultNetwork: boolean;
}

/** `containing`: only routes that lead this block somewhere as a whole. */
export async function listNamedRoutes(api: ApiSession, containing?: string): Promise<readonly NamedRoute[]> {
  const params = { account: api.account };
  const [routes, networks] = await Promise.all([
    api.client.listIpRoutes({
      params,
      query: { tun_types: 'cfd_tunnel', is_deleted: false, network_superset: containing },
    }),
    api.client.listNetworks({ params, query: { is_deleted: false } }),
  ]);
  return routes.map(route => {
    const network = networks.find(({ id }) => id === route.virtual_network_id);
    return {
      ...route,
      networkName: network?.name ?? route.virtual_network_id ?? 'default',
      isDefaultNetwork: network?.is_default_network ?? route.virtual_network_id === undefined,
    };
  });
}

/** As the commands print it. */
export function showNamedRoute({ id, network, networkName, tunnel_id, tunnel_name, virtual_network_id }: NamedRoute) {
  return { id, network, virtual_network_id, virtual_network_name: networkName, tunnel_id, tunnel_name };
}
