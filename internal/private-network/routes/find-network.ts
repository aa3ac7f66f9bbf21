// Finds a virtual network by the name or id that a person gave.

import type { NetworkRecord } from '../../store/contract/records.ts';
import type { RouteTable } from './route-table.ts';

/** A live network of the account by name or id. */
export function findNetwork(routes: RouteTable, accountTag: string, name: string): NetworkRecord | undefined {
  const byName = routes.networkOf(accountTag, name);
  if (byName !== undefined) return byName;
  const byId = routes.network(name.toLowerCase());
  return byId?.accountTag === accountTag ? byId : undefined;
}
