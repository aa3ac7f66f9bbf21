// Finds the id of the tunnel that a person named. Source: docs/protocol/commands-and-api.md §4 point 3, §5.2.

import { PosternError } from '../../internal/errors/error.ts';
import { parseTunnelId, type TunnelId } from '../../internal/schema/api/id.ts';
import type { ApiSession } from './api.ts';

/** A UUID is taken as it is; a name is looked up among the tunnels that are not deleted. Throws 'api.not-found'. */
export async function findTunnel(api: ApiSession, nameOrId: string): Promise<TunnelId> {
  const id = parseTunnelId(nameOrId);
  if (id !== undefined) return id;
  const found = await api.client.listTunnels({
    params: { account: api.account },
    query: { name: nameOrId, is_deleted: false },
  });
  const [tunnel] = found;
  const foundId = tunnel === undefined ? undefined : parseTunnelId(tunnel.id);
  if (found.length > 1) {
    throw new PosternError('api.conflict', `there should only be 1 non-deleted Tunnel named ${nameOrId}`);
  }
  if (foundId === undefined) {
    throw new PosternError('api.not-found', `${nameOrId} is neither the ID nor the name of any of your tunnels`);
  }
  return foundId;
}
