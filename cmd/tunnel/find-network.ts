// Finds the id of the virtual network that a person named, and has the flag for the name. Source:
// docs/protocol/commands-and-api.md §2, §5.5.

import type { Flag } from '../../internal/config/flag.ts';
import { PosternError } from '../../internal/errors/error.ts';
import { isUuid } from '../../internal/schema/api/id.ts';
import type { ApiSession } from './api.ts';

export const networkFlag = {
  name: 'vnet',
  aliases: ['vn'],
  type: 'string',
  valueName: 'ID-OR-NAME',
  description: 'Virtual network; default: the default one',
} as const satisfies Flag;

/** A UUID is taken as it is; a name is looked up among the networks that are not deleted. Throws 'api.not-found'. */
export async function findNetwork(api: ApiSession, nameOrId: string): Promise<string> {
  if (isUuid(nameOrId)) return nameOrId.toLowerCase();
  const found = await api.client.listNetworks({
    params: { account: api.account },
    query: { name: nameOrId, is_deleted: false },
  });
  const [network] = found;
  if (network !== undefined && found.length === 1) return network.id;
  throw new PosternError(
    'api.not-found',
    found.length === 0
      ? `There is no virtual network named ${nameOrId}`
      : `There are ${found.length} virtual networks named ${nameOrId}: give the ID of one`,
  );
}

/** The network a flag names, or undefined (the account's default) when it names none. */
export async function findOptionalNetwork(api: ApiSession, nameOrId: string | undefined): Promise<string | undefined> {
  return nameOrId ? findNetwork(api, nameOrId) : undefined;
}
