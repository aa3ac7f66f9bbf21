// The access token with which connectors of a tunnel can be asked, from the API. Source: docs/protocol/commands-and-api.md §6, §9.3.

import type { ManagementResource } from '../../internal/schema/api/management.ts';
import type { ApiSession } from '../tunnel/api.ts';
import { findTunnel } from '../tunnel/find-tunnel.ts';

/** `tunnel`: id or name. Throws what the API and `findTunnel` throw. */
export async function fetchToken(api: ApiSession, tunnel: string, resource: ManagementResource): Promise<string> {
  const id = await findTunnel(api, tunnel);
  return api.client.getManagementToken({ params: { account: api.account, id, resource } });
}
