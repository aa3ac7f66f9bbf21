// What commands on users, groups, devices, tokens, profiles and the audit log print as JSON; a part of schemas.ts.

import * as z from 'zod';

const time = z.iso.datetime();
const id = z.uuid();
const scopes = z.array(z.string()).describe('What it is good for; docs/accounts.md has the table');
const named = z.strictObject({ id, name: z.string() });
const tokenId = z.string().describe('32 hex digits');

const user = z.strictObject({ id, name: z.string(), scopes, created_at: time });
const loginCode = z.strictObject({
  login_code: z.string().describe('Good once'),
  login_code_expires_on: time,
});
const group = z.strictObject({ id, name: z.string(), members: z.array(named), created_at: time });
const token = z.strictObject({
  id: tokenId,
  name: z.string(),
  status: z.enum(['active', 'expired']),
  scopes,
  user: named.nullable().describe('null for a service’s, or the operator’s own'),
  device: named.nullable(),
  issued_on: time,
  expires_on: time.nullable(),
  last_used_on: time.nullable().describe('To the minute; null when it never was'),
});
const createdToken = token.extend({ value: z.string().describe('The token itself, shown this once') });
const device = z.strictObject({ id, name: z.string(), user: named, created_at: time });

/** By the words of the command. */
export const peopleSchemas: Readonly<Record<string, z.ZodType>> = {
  audit: z.array(
    z.strictObject({
      id: z.int(),
      when: time,
      action: z.string(),
      target: z.string().describe('Path of the call below the account, and the id of what was made'),
      actor: z.strictObject({
        user_id: z.string(),
        user_name: z.string(),
        token_id: z.string(),
        token_name: z.string(),
        ip: z.string(),
      }),
      before: z.unknown().describe('Without secrets; null where there was nothing'),
      after: z.unknown(),
    }),
  ),
  'device add': device.extend({ token: createdToken }),
  'device list': z.array(device),
  'group add': group,
  'group list': z.array(group),
  'profile list': z.array(
    z.strictObject({ name: z.string(), in_use: z.boolean(), account: z.string(), api: z.string() }),
  ),
  'token create': createdToken,
  'token list': z.array(token),
  'user add': user.extend(loginCode.shape),
  'user invite': loginCode,
  'user list': z.array(user),
  whoami: z.strictObject({
    api: z.string(),
    credential: z.string().describe('A path, or the name of a variable'),
    account: z.strictObject({ id: z.string(), name: z.string() }),
    zone: z.strictObject({ id: z.string(), name: z.string() }),
    user: named.nullable(),
    token: z.strictObject({ id: tokenId, name: z.string(), scopes, expires_on: time.nullable() }),
  }),
};
