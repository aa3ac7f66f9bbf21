// The parts of the store over an SQL database, cut by subject, and what is forgotten when one is opened.

import type { StoreParts } from '../contract/store.ts';
import { createAccountStore } from './accounts.ts';
import { createAuditStore } from './audit.ts';
import { createBalancingStore } from './balancing.ts';
import { createCertificateStore } from './certificates.ts';
import type { Database } from './database.ts';
import { createHostnameStore } from './hostnames.ts';
import { createIpRouteStore } from './ip-routes.ts';
import { createNetworkStore } from './networks.ts';
import { createPresenceStore } from './presence.ts';
import { createPrivateHostnameStore } from './private-hostnames.ts';
import { createPublicPortStore } from './public-ports.ts';
import { createQuickTunnelStore } from './quick-tunnels.ts';
import { createTokenUseStore, forgetTokenUses } from './tokens.ts';
import { createTunnelStore } from './tunnels.ts';
import { createDeviceStore, createGroupStore, createUserStore } from './users.ts';

/** How long deleted tunnels, routes and networks can still be listed; then they are forgotten at the next start. */
export const keepDeletedMs = 30 * 86_400_000;

/** @param presence has the tables of what may be lost: who is connected, when tokens were used */
export function createStoreParts(database: Database, presence: Database): StoreParts {
  const presenceStore = createPresenceStore(presence);
  return {
    accounts: createAccountStore(database),
    tunnels: createTunnelStore(database),
    hostnames: createHostnameStore(database),
    quickTunnels: createQuickTunnelStore(database, ids => presenceStore.forgetTunnels(ids)),
    presence: presenceStore,
    networks: createNetworkStore(database),
    ipRoutes: createIpRouteStore(database),
    privateHostnames: createPrivateHostnameStore(database),
    publicPorts: createPublicPortStore(database),
    balancing: createBalancingStore(database),
    certificates: createCertificateStore(database),
    users: createUserStore(database),
    groups: createGroupStore(database),
    devices: createDeviceStore(database),
    audit: createAuditStore(database),
    tokenUses: createTokenUseStore(presence),
  };
}

/** Forgets what was deleted before `beforeMs`, and what is known of tokens and tunnels that are no more. */
export async function forgetOld(database: Database, presence: Database, beforeMs: number): Promise<void> {
  await database.write(async sql => {
    // Routes first: those of a forgotten tunnel or network are all deleted ones, and go with it.
    for (const table of ['ip_routes', 'private_hostnames', 'networks', 'tunnels'])
      await sql.run(`DELETE FROM ${table} WHERE deleted_ms < ?`, beforeMs);
  });
  await forgetTokenUses(presence, database);
  const presenceStore = createPresenceStore(presence);
  const gone = [];
  for (const { tunnelId } of await presenceStore.activity())
    if ((await database.row('SELECT 1 FROM tunnels WHERE id = ?', tunnelId)) === undefined) gone.push(tunnelId);
  if (gone.length > 0) await presenceStore.forgetTunnels(gone);
}
