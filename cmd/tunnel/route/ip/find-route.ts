// From what a person calls a private route, its ID or its network, to its ID.

import { PosternError } from '../../../../internal/errors/error.ts';
import { isUuid } from '../../../../internal/schema/api/id.ts';
import type { ApiSession } from '../../api.ts';
import { findOptionalNetwork } from '../../find-network.ts';
import { parseNetwork } from './parse-network.ts';

/** `text`: an ID, or a network in CIDR form in the virtual network `vnet`. Throws 'usage.invalid' and 'api.not-found'. */
export async function findRoute(api: ApiSession, text: string, vnet: string | undefined): Promise<string> {
  if (isUuid(text)) return text.toLowerCase();
  const network = parseNetwork(text);
  // The one live route of exactly this network: subset and superset of it at once.
  const found = await api.client.listIpRoutes({
    params: { account: api.account },
    query: {
      tun_types: 'cfd_tunnel',
      is_deleted: false,
      network_subset: network,
      network_superset: network,
      virtual_network_id: await findOptionalNetwork(api, vnet),
    },
  });
  const [route] = found;
  if (route !== undefined && found.length === 1) return route.id;
  const why = found.length === 0 ? '' : `: ${found.length} virtual networks have one, name it with --vnet`;
  throw new PosternError('api.not-found', `unable to find route for provided network and vnet${why}`);
}
