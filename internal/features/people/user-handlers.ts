// Users and groups. A new user gets a login code, shown once, with which he logs in for the first time.

import { randomUUID } from 'node:crypto';
import type { ApiHandlers } from '../../api/routes.ts';
import { apiProblem } from '../../control-plane/api-problem.ts';
import { type Caller, formatTime } from '../../control-plane/handler-context.ts';
import { createLoginCode, digestLoginCode } from '../../credentials/login-code.ts';
import { isPosternError } from '../../errors/error.ts';
import { usualScopes } from '../../schema/api/scopes.ts';
import type { GroupRecord, UserRecord } from '../../store/contract/records.ts';
import { type PeopleParts, readDirectory, requireScopes, requireUser, showGroup, showUser } from './shapes.ts';

/** Users, and as many groups, of one account: a listing is one answer. */
export const maxUsers = 10_000;

type UserCalls = 'listUsers' | 'addUser' | 'inviteUser' | 'removeUser';
type GroupCalls = 'listGroups' | 'addGroup' | 'removeGroup' | 'addMember' | 'removeMember';

export function createUserHandlers({ store, now }: PeopleParts): Pick<ApiHandlers<Caller>, UserCalls> {
  /** Nobody gives more time than he has: neither the code nor the token that it gives outlives the caller's. */
  const invite = async ({ id }: UserRecord, ttlSeconds: number, { token: maker }: Caller) => {
    const code = createLoginCode();
    const wantedMs = now() + ttlSeconds * 1000;
    const tokenExpiresAtMs = maker.expiresAtMs;
    const expiresAtMs = Math.min(wantedMs, tokenExpiresAtMs ?? wantedMs);
    const digest = digestLoginCode(code) ?? new Uint8Array();
    await store.users.setLoginCode({ digest, userId: id, expiresAtMs, makerId: maker.id, tokenExpiresAtMs });
    return { login_code: code, login_code_expires_on: formatTime(expiresAtMs) };
  };
  return {
    async listUsers(_input, caller) {
      return (await store.users.list(caller.accountTag)).map(showUser);
    },
    async addUser({ body }, caller) {
      const { accountTag } = caller;
      const user: UserRecord = {
        id: randomUUID(),
        accountTag,
        name: body.name,
        scopes: body.scopes ?? usualScopes,
        createdAtMs: now(),
      };
      requireScopes(caller, user.scopes);
      const users = await store.users.list(accountTag);
      if (users.length >= maxUsers) throw apiProblem('invalid', `The account has ${maxUsers} users already`);
      await unlessTaken(store.users.create(user), `There is a user ${JSON.stringify(user.name)} already`);
      return { ...showUser(user), ...(await invite(user, body.login_code_ttl, caller)) };
    },
    async inviteUser({ params, body }, caller) {
      const user = await requireUser(store, caller, params.id);
      requireScopes(caller, user.scopes);
      return invite(user, body.login_code_ttl, caller);
    },
    async removeUser({ params }, caller) {
      const user = await requireUser(store, caller, params.id);
      requireScopes(caller, user.scopes);
      await store.users.remove(caller.accountTag, user.id);
      return showUser(user);
    },
  };
}

export function createGroupHandlers({ store, now }: PeopleParts): Pick<ApiHandlers<Caller>, GroupCalls> {
  const requireGroup = async ({ accountTag }: Caller, id: string): Promise<GroupRecord> => {
    const group = (await store.groups.list(accountTag)).find(one => one.id === id);
    if (group === undefined) throw apiProblem('notFound', 'Group not found');
    return group;
  };
  const show = async ({ accountTag }: Caller, group: GroupRecord) =>
    showGroup(group, (await readDirectory(store, accountTag)).users);
  const setMember = async (caller: Caller, id: string, user: string, isMember: boolean) => {
    await requireGroup(caller, id);
    await requireUser(store, caller, user);
    await store.groups.setMember(caller.accountTag, id, user, isMember);
    return show(caller, await requireGroup(caller, id));
  };
  return {
    async listGroups(_input, { accountTag }) {
      const { users } = await readDirectory(store, accountTag);
      return (await store.groups.list(accountTag)).map(group => showGroup(group, users));
    },
    async addGroup({ body }, caller) {
      const { accountTag } = caller;
      if ((await store.groups.list(accountTag)).length >= maxUsers)
        throw apiProblem('invalid', `The account has ${maxUsers} groups already`);
      const group: GroupRecord = { id: randomUUID(), accountTag, name: body.name, createdAtMs: now(), members: [] };
      await unlessTaken(store.groups.create(group), `There is a group ${JSON.stringify(group.name)} already`);
      return show(caller, group);
    },
    async removeGroup({ params }, caller) {
      const group = await requireGroup(caller, params.id);
      const shown = await show(caller, group);
      await store.groups.remove(caller.accountTag, group.id);
      return shown;
    },
    addMember: ({ params }, caller) => setMember(caller, params.id, params.user, true),
    removeMember: ({ params }, caller) => setMember(caller, params.id, params.user, false),
  };
}

/** Throws `api.conflict` with `message` where the store has the name. */
export async function unlessTaken(writing: Promise<void>, message: string): Promise<void> {
  try {
    await writing;
  } catch (error) {
    if (isPosternError(error, 'store.conflict')) throw apiProblem('nameTaken', message);
    throw error;
  }
}
