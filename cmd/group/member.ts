// What `group add-member` and `group remove-member` have in common: a group and a user, found by name.

import type { ApiGroup } from '../../internal/schema/api/people.ts';
import type { Positional } from '../command.ts';
import { findNamed } from '../find-named.ts';
import type { ApiSession } from '../tunnel/api.ts';

export const memberPositionals: readonly Positional[] = [
  { name: 'GROUP', description: 'ID or name of the group' },
  { name: 'USER', description: 'ID or name of the user' },
];

/** Parameters of the call. Throws 'api.not-found'. */
export async function findMember(
  api: ApiSession,
  [groupName = '', userName = '']: readonly string[],
): Promise<{ readonly account: string; readonly id: string; readonly user: string }> {
  const params = { account: api.account };
  const [groups, users] = await Promise.all([api.client.listGroups({ params }), api.client.listUsers({ params })]);
  const group = findNamed(groups, groupName, 'group');
  return { account: api.account, id: group.id, user: findNamed(users, userName, 'user').id };
}

/** `Members of staff: ann, bob`. */
export function memberLine({ name, members }: ApiGroup): string {
  return `Members of ${name}: ${members.map(member => member.name).join(', ') || 'none'}`;
}
