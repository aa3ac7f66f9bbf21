// Guards private routes: tunnel and network must be alive and of the route's own account, else flows of one account could
// reach connectors of another.

import { PosternError } from '../../errors/error.ts';
import type { IpRouteRecord } from '../contract/records.ts';
import type { Database } from './database.ts';

/** Call inside the transaction that inserts the route. Throws `store.failed`. */
export function requireOwnership(
  database: Database,
  route: Pick<IpRouteRecord, 'accountTag' | 'tunnelId' | 'networkId'>,
): void {
  const owned = (table: 'tunnels' | 'networks', id: string): boolean =>
    database.row(
      `SELECT 1 FROM ${table} WHERE id = ? AND account_tag = ? AND deleted_ms IS NULL`,
      id,
      route.accountTag,
    ) !== undefined;
  if (!owned('tunnels', route.tunnelId)) {
    throw new PosternError('store.failed', `Tunnel ${route.tunnelId} is not a live tunnel of the route's account`);
  }
  if (!owned('networks', route.networkId)) {
    throw new PosternError('store.failed', `Network ${route.networkId} is not a live network of the route's account`);
  }
}
