// Calls about users, groups, devices, API tokens and the audit log; a part of the one table (routes.ts).

import * as z from 'zod';
import { nothingSchema as none } from '../schema/api/common.ts';
import {
  addDeviceSchema,
  addedDeviceSchema,
  addedUserSchema,
  addGroupSchema,
  addUserSchema,
  auditEntrySchema,
  auditQuerySchema,
  createdTokenSchema,
  createTokenSchema,
  deviceSchema,
  groupSchema,
  inviteUserSchema,
  loginCodeSchema,
  tokenSchema,
  userSchema,
  verifiedTokenSchema,
  whoAmISchema,
} from '../schema/api/people.ts';
import { callerRoute, route } from './route.ts';

const users = '/accounts/{account}/users';
const groups = '/accounts/{account}/groups';
const devices = '/accounts/{account}/devices';
const tokens = '/accounts/{account}/tokens';

const get = { method: 'GET', query: none, body: none, paged: false } as const;
const post = { method: 'POST', query: none, paged: false } as const;
const remove = { method: 'DELETE', query: none, body: none, paged: false } as const;

export const peopleRoutes = {
  listUsers: route({ ...get, path: users, op: 'list users', result: z.array(userSchema) }),
  addUser: route({ ...post, path: users, op: 'add user', body: addUserSchema, result: addedUserSchema }),
  inviteUser: route({
    ...post,
    path: `${users}/{id}/login_code`,
    op: 'invite user',
    body: inviteUserSchema,
    result: loginCodeSchema,
  }),
  removeUser: route({ ...remove, path: `${users}/{id}`, op: 'remove user', result: userSchema }),
  listGroups: route({ ...get, path: groups, op: 'list groups', result: z.array(groupSchema) }),
  addGroup: route({ ...post, path: groups, op: 'add group', body: addGroupSchema, result: groupSchema }),
  removeGroup: route({ ...remove, path: `${groups}/{id}`, op: 'remove group', result: groupSchema }),
  addMember: route({
    ...{ method: 'PUT', query: none, body: none, paged: false },
    path: `${groups}/{id}/members/{user}`,
    op: 'add member',
    result: groupSchema,
  }),
  removeMember: route({
    ...remove,
    path: `${groups}/{id}/members/{user}`,
    op: 'remove member',
    result: groupSchema,
  }),
  listDevices: route({ ...get, path: devices, op: 'list devices', result: z.array(deviceSchema) }),
  addDevice: route({ ...post, path: devices, op: 'add device', body: addDeviceSchema, result: addedDeviceSchema }),
  removeDevice: route({ ...remove, path: `${devices}/{id}`, op: 'remove device', result: deviceSchema }),
  listTokens: route({ ...get, path: tokens, op: 'list tokens', result: z.array(tokenSchema) }),
  createToken: route({
    ...post,
    path: tokens,
    op: 'create token',
    body: createTokenSchema,
    result: createdTokenSchema,
  }),
  revokeToken: route({ ...remove, path: `${tokens}/{id}`, op: 'revoke token', result: z.object({ id: z.string() }) }),
  listAudit: route({
    ...get,
    path: '/accounts/{account}/audit_logs',
    op: 'list audit log',
    paged: true,
    query: auditQuerySchema,
    result: auditEntrySchema,
  }),
  verifyToken: callerRoute({ ...get, path: '/user/tokens/verify', op: 'verify token', result: verifiedTokenSchema }),
  whoAmI: callerRoute({ ...get, path: '/user/whoami', op: 'look up the token', result: whoAmISchema }),
} as const;
