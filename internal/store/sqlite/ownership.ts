// Guards routes: tunnel and network must be alive and of the route's own account, else flows and visitors of one account
// could reach connectors of another.

import { PosternError } from '../../errors/error.ts';
import type { IpRouteRecord } from '../contract/records.ts';
import type { Database } from './database.ts';

/** Call inside the transaction that inserts the route. Throws `store.failed`. */
export function requireOwnership(
  database: Database,
  { accountTag, tunnelId, networkId }: Pick<IpRouteRecord, 'accountTag' | 'tunnelId' | 'networkId'>,
): void {
  requireTunnelOf(database, accountTag, tunnelId);
  if (!isOwned(database, 'networks', accountTag, networkId))
    throw new PosternError('store.failed', `Network ${networkId} is not a live network of the route's account`);
}

/** The same of a route that has no network. */
export function requireTunnelOf(database: Database, accountTag: string, tunnelId: string): void {
  if (!isOwned(database, 'tunnels', accountTag, tunnelId))
    throw new PosternError('store.failed', `Tunnel ${tunnelId} is not a live tunnel of the route's account`);
}

function isOwned(database: Database, table: 'tunnels' | 'networks', accountTag: string, id: string): boolean {
  const sql = `SELECT 1 FROM ${table} WHERE id = ? AND account_tag = ? AND deleted_ms IS NULL`;
  return database.row(sql, id, accountTag) !== undefined;
}
