// Guards routes: tunnel and network must be alive and of the route's own account, else flows and visitors of one account
// could reach connectors of another.

import { PosternError } from '../../errors/error.ts';
import type { IpRouteRecord } from '../contract/records.ts';
import type { Sql } from './database.ts';

/** Call inside the transaction that inserts the route. Throws `store.failed`. */
export async function requireOwnership(
  sql: Sql,
  { accountTag, tunnelId, networkId }: Pick<IpRouteRecord, 'accountTag' | 'tunnelId' | 'networkId'>,
): Promise<void> {
  await requireTunnelOf(sql, accountTag, tunnelId);
  if (!(await isOwned(sql, 'networks', accountTag, networkId)))
    throw new PosternError('store.failed', `Network ${networkId} is not a live network of the route's account`);
}

/** The same of a route that has no network. */
export async function requireTunnelOf(sql: Sql, accountTag: string, tunnelId: string): Promise<void> {
  if (!(await isOwned(sql, 'tunnels', accountTag, tunnelId)))
    throw new PosternError('store.failed', `Tunnel ${tunnelId} is not a live tunnel of the route's account`);
}

async function isOwned(sql: Sql, table: 'tunnels' | 'networks', accountTag: string, id: string): Promise<boolean> {
  const query = `SELECT 1 FROM ${table} WHERE id = ? AND account_tag = ? AND deleted_ms IS NULL`;
  return (await sql.row(query, id, accountTag)) !== undefined;
}
