// Finds the pool that a person named.

import type { apiRoutes, CallResult } from '../../../internal/api/routes.ts';
import { PosternError } from '../../../internal/errors/error.ts';
import type { ApiSession } from '../api.ts';

export type ApiPool = CallResult<(typeof apiRoutes)['getPool']>;

/** By name or ID. Throws 'api.not-found'. */
export async function findPool(api: ApiSession, nameOrId: string): Promise<ApiPool> {
  const pools = await api.client.listPools({ params: { account: api.account } });
  const found = pools.find(one => one.name === nameOrId) ?? pools.find(one => one.id === nameOrId.toLowerCase());
  if (found !== undefined) return found;
  throw new PosternError(
    'api.not-found',
    `There is no pool ${nameOrId}: postern tunnel pool list shows them, postern tunnel pool create makes one`,
  );
}
