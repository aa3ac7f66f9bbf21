// Users, devices and tokens as the API shows them, and the checks that their handlers share.

import { apiProblem } from '../../control-plane/api-problem.ts';
import { type Caller, formatOptionalTime, formatTime } from '../../control-plane/handler-context.ts';
import type { ApiDevice, ApiGroup, ApiToken, ApiUser } from '../../schema/api/people.ts';
import { coversScopes } from '../../schema/api/scopes.ts';
import type { ApiTokenRecord, DeviceRecord, GroupRecord, UserRecord } from '../../store/contract/records.ts';
import type { Store } from '../../store/contract/store.ts';

export interface PeopleParts {
  readonly store: Store;
  readonly now: () => number;
}

/** People and machines of an account by id, for names. */
export interface Directory {
  readonly users: ReadonlyMap<string, UserRecord>;
  readonly devices: ReadonlyMap<string, DeviceRecord>;
}

export async function readDirectory(store: Store, accountTag: string): Promise<Directory> {
  const [users, devices] = await Promise.all([store.users.list(accountTag), store.devices.list(accountTag)]);
  return { users: byId(users), devices: byId(devices) };
}

/** The user `id` of the caller's account. Throws `api.not-found`. */
export async function requireUser(store: Store, caller: Caller, id: string): Promise<UserRecord> {
  const user = await store.users.get(caller.accountTag, id);
  if (user === undefined) throw apiProblem('notFound', 'User not found');
  return user;
}

/** Nobody makes, invites or removes what may do more than himself. Throws `api.unauthorized`. */
export function requireScopes(caller: Caller, scopes: readonly string[]): void {
  if (coversScopes(caller.token.scopes, scopes)) return;
  throw apiProblem('forbidden', `The API token may not do that: it lacks scopes of ${scopes.join(', ')}`);
}

/** Milliseconds of an RFC 3339 time to come; undefined where there is none. Throws `api.invalid`. */
export function parseExpiry(text: string | null | undefined, nowMs: number): number | undefined {
  if (text === null || text === undefined) return undefined;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw apiProblem('invalid', `expires_on must be an RFC 3339 time, not ${JSON.stringify(text)}`);
  if (ms <= nowMs) throw apiProblem('invalid', `expires_on ${text} is in the past`);
  return ms;
}

export function showUser({ id, name, scopes, createdAtMs }: UserRecord): ApiUser {
  return { id, name, scopes: [...scopes], created_at: formatTime(createdAtMs) };
}

export function showGroup({ id, name, members, createdAtMs }: GroupRecord, users: Directory['users']): ApiGroup {
  const named = members.map(member => ({ id: member, name: users.get(member)?.name ?? '' }));
  return {
    id,
    name,
    members: named.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    created_at: formatTime(createdAtMs),
  };
}

export function showDevice(
  { id, name, userId, createdAtMs }: DeviceRecord,
  { users }: Pick<Directory, 'users'>,
): ApiDevice {
  return { id, name, user: { id: userId, name: users.get(userId)?.name ?? '' }, created_at: formatTime(createdAtMs) };
}

export function showToken(
  token: ApiTokenRecord,
  { users, devices }: Directory,
  { nowMs, usedAtMs }: { readonly nowMs: number; readonly usedAtMs?: number | undefined },
): ApiToken {
  const { id, label, scopes, userId, deviceId, createdAtMs, expiresAtMs } = token;
  return {
    id,
    name: label,
    status: expiresAtMs !== undefined && expiresAtMs <= nowMs ? 'expired' : 'active',
    scopes: [...scopes],
    user: named(userId, users),
    device: named(deviceId, devices),
    issued_on: formatTime(createdAtMs),
    expires_on: formatOptionalTime(expiresAtMs),
    last_used_on: formatOptionalTime(usedAtMs),
  };
}

function named(id: string | undefined, names: ReadonlyMap<string, { readonly name: string }>) {
  return id === undefined ? null : { id, name: names.get(id)?.name ?? '' };
}

function byId<T extends { readonly id: string }>(items: readonly T[]): ReadonlyMap<string, T> {
  return new Map(items.map(item => [item.id, item]));
}
