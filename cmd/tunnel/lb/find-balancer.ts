// Finds the load balancer that a person named, and the pools.

import { domainToASCII } from 'node:url';
import type { apiRoutes, CallResult } from '../../../internal/api/routes.ts';
import { PosternError } from '../../../internal/errors/error.ts';
import type { ApiSession } from '../api.ts';
import { findPool } from '../pool/find-pool.ts';

export type ApiBalancer = CallResult<(typeof apiRoutes)['getBalancer']>;

/** By host name, with or without the zone's, or ID. Throws 'api.not-found'. */
export async function findBalancer(api: ApiSession, given: string): Promise<ApiBalancer> {
  const balancers = await api.client.listBalancers({ params: { zone: api.cert.zoneId } });
  const name = (domainToASCII(given) || given).toLowerCase().replace(/\.$/, '');
  const found =
    balancers.find(one => one.name === name || one.id === name) ??
    balancers.find(one => !name.includes('.') && one.name.startsWith(`${name}.`));
  if (found !== undefined) return found;
  throw new PosternError('api.not-found', `There is no load balancer ${given}: postern tunnel lb list shows them`);
}

/** Ids of pools by name or ID. Throws 'api.not-found'. */
export async function findPools(api: ApiSession, names: readonly string[]): Promise<readonly string[]> {
  const ids: string[] = [];
  for (const name of names) ids.push((await findPool(api, name)).id);
  return ids;
}
