// API tokens, and devices, each of which has one for the ways into private networks. A token's text is shown once.

import { randomUUID } from 'node:crypto';
import type { ApiHandlers } from '../../api/routes.ts';
import { apiProblem } from '../../control-plane/api-problem.ts';
import { type Caller, formatOptionalTime } from '../../control-plane/handler-context.ts';
import { hasScope, usualScopes } from '../../schema/api/scopes.ts';
import type { ApiTokenRecord, DeviceRecord, NewApiToken, UserRecord } from '../../store/contract/records.ts';
import { createApiToken, digestApiToken } from '../../store/secret-box.ts';
import {
  type PeopleParts,
  parseExpiry,
  readDirectory,
  requireScopes,
  requireUser,
  showDevice,
  showToken,
} from './shapes.ts';
import { maxUsers, unlessTaken } from './user-handlers.ts';

/** Tokens of one account, expired ones too: a listing is one answer. */
export const maxTokens = 10_000;

type TokenCalls = 'listTokens' | 'createToken' | 'revokeToken' | 'verifyToken' | 'whoAmI';
type DeviceCalls = 'listDevices' | 'addDevice' | 'removeDevice';

/** Keeps a new token. Throws `api.invalid` when the account has too many. */
async function issueToken(
  { store, now }: PeopleParts,
  token: Omit<NewApiToken, 'digest' | 'createdAtMs'>,
): Promise<{ readonly record: ApiTokenRecord; readonly value: string }> {
  if ((await store.accounts.tokens(token.accountTag)).length >= maxTokens)
    throw apiProblem('invalid', `The account has ${maxTokens} API tokens already: revoke those that are not used`);
  const value = createApiToken();
  const record = await store.accounts.addToken({ ...token, digest: digestApiToken(value), createdAtMs: now() });
  return { record, value };
}

export function createTokenHandlers(parts: PeopleParts): Pick<ApiHandlers<Caller>, TokenCalls> {
  const { store, now } = parts;
  /** A user's own, unless the caller may manage users. */
  const ownerOf = async (caller: Caller, wanted: string | null | undefined): Promise<UserRecord | undefined> => {
    const own = caller.token.userId;
    const id = wanted === undefined ? own : (wanted ?? undefined);
    if (id !== own) requireScopes(caller, ['users:write']);
    return id === undefined ? undefined : requireUser(store, caller, id);
  };
  return {
    async listTokens(_input, { accountTag }) {
      const [tokens, directory] = await Promise.all([
        store.accounts.tokens(accountTag),
        readDirectory(store, accountTag),
      ]);
      const uses = await store.tokenUses.of(tokens.map(({ id }) => id));
      return tokens.map(token => showToken(token, directory, { nowMs: now(), usedAtMs: uses.get(token.id) }));
    },
    async createToken({ body }, caller) {
      const { accountTag } = caller;
      const user = await ownerOf(caller, body.user_id);
      const scopes = body.scopes ?? usualScopes.filter(scope => hasScope(caller.token.scopes, scope));
      if (scopes.length === 0) throw apiProblem('invalid', 'The caller has none of the usual scopes: name scopes');
      requireScopes(caller, scopes);
      if (user !== undefined) requireUserScopes(user, scopes);
      const { record, value } = await issueToken(parts, {
        ...{ accountTag, label: body.name, scopes, userId: user?.id },
        expiresAtMs: soonest(parseExpiry(body.expires_on, now()), caller.token.expiresAtMs),
      });
      return { ...showToken(record, await readDirectory(store, accountTag), { nowMs: now() }), value };
    },
    async revokeToken({ params }, caller) {
      const token = (await store.accounts.tokens(caller.accountTag)).find(({ id }) => id === params.id);
      if (token === undefined) throw apiProblem('notFound', 'API token not found');
      requireScopes(caller, token.scopes);
      await store.accounts.revokeToken(caller.accountTag, token.id);
      return { id: token.id };
    },
    async verifyToken(_input, { token: { id, expiresAtMs } }) {
      const expires = formatOptionalTime(expiresAtMs);
      return { id, status: 'active', ...(expires === null ? {} : { expires_on: expires }) };
    },
    async whoAmI(_input, { accountTag, token }) {
      const [account, [zone], user] = await Promise.all([
        store.accounts.get(accountTag),
        store.accounts.zonesOf(accountTag),
        token.userId === undefined ? undefined : store.users.get(accountTag, token.userId),
      ]);
      const { id, label, scopes, expiresAtMs } = token;
      return {
        account: { id: accountTag, name: account?.name ?? '' },
        zone: { id: zone?.id ?? '', name: zone?.domain ?? '' },
        user: user === undefined ? null : { id: user.id, name: user.name },
        token: { id, name: label, scopes: [...scopes], expires_on: formatOptionalTime(expiresAtMs) },
      };
    },
  };
}

export function createDeviceHandlers(parts: PeopleParts): Pick<ApiHandlers<Caller>, DeviceCalls> {
  const { store, now } = parts;
  return {
    async listDevices(_input, { accountTag }) {
      const directory = await readDirectory(store, accountTag);
      return [...directory.devices.values()].map(device => showDevice(device, directory));
    },
    async addDevice({ body }, caller) {
      const { accountTag } = caller;
      const user = await requireUser(store, caller, body.user_id);
      const scopes = ['connect'];
      requireScopes(caller, scopes);
      requireUserScopes(user, scopes);
      const expiresAtMs = soonest(parseExpiry(body.expires_on, now()), caller.token.expiresAtMs);
      if ((await store.devices.list(accountTag)).length >= maxUsers)
        throw apiProblem('invalid', `The account has ${maxUsers} devices already`);
      const device: DeviceRecord = {
        ...{ id: randomUUID(), accountTag, userId: user.id, name: body.name, createdAtMs: now() },
      };
      await unlessTaken(store.devices.create(device), `There is a device ${JSON.stringify(device.name)} already`);
      const { record, value } = await issueToken(parts, {
        ...{ accountTag, label: `device ${device.name}`, scopes, userId: user.id, deviceId: device.id, expiresAtMs },
      });
      const directory = await readDirectory(store, accountTag);
      return {
        ...showDevice(device, directory),
        token: { ...showToken(record, directory, { nowMs: now() }), value },
      };
    },
    async removeDevice({ params }, caller) {
      const { accountTag } = caller;
      const directory = await readDirectory(store, accountTag);
      const device = directory.devices.get(params.id);
      if (device === undefined) throw apiProblem('notFound', 'Device not found');
      const tokens = (await store.accounts.tokens(accountTag)).filter(({ deviceId }) => deviceId === device.id);
      requireScopes(caller, [...new Set(['connect', ...tokens.flatMap(({ scopes }) => scopes)])]);
      await store.devices.remove(accountTag, device.id);
      return showDevice(device, directory);
    },
  };
}

/** Throws `api.invalid` when the user may do less. */
function requireUserScopes(user: UserRecord, scopes: readonly string[]): void {
  const lacking = scopes.filter(scope => !hasScope(user.scopes, scope));
  if (lacking.length > 0)
    throw apiProblem('invalid', `User ${JSON.stringify(user.name)} lacks the scopes ${lacking.join(', ')}`);
}

/** Nobody gives more time than he has. */
function soonest(...timesMs: readonly (number | undefined)[]): number | undefined {
  const known = timesMs.filter(ms => ms !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}
