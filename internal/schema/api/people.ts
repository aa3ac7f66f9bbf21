// Users, groups, devices, API tokens and the audit log as the API shows them. Tokens have the names of the v4 API where it has
// the same thing (`issued_on`, `expires_on`, `value`).

import * as z from 'zod';
import { lineSchema, pageQuery, timeSchema, uuidSchema } from './common.ts';
import { scopesSchema } from './scopes.ts';

const nameSchema = lineSchema(255).min(1);
/** Ids of tokens. */
const tagSchema = z.string().regex(/^[0-9a-f]{32}$/, 'must be 32 hex digits');

export const userSchema = z.object({
  id: uuidSchema,
  name: z.string(),
  scopes: z.array(z.string()),
  created_at: timeSchema,
});
export type ApiUser = z.output<typeof userSchema>;

/** Good for one login. The code is shown this once. */
export const loginCodeSchema = z.object({ login_code: z.string(), login_code_expires_on: timeSchema });

/** How long a login code may wait for its user, in seconds: a week at most. */
const loginTtlSchema = z.int().min(60).max(604_800).default(86_400);
export const addUserSchema = z.object({
  name: nameSchema,
  /** Default: those of whoever runs tunnels. */
  scopes: scopesSchema.optional(),
  login_code_ttl: loginTtlSchema,
});
export const inviteUserSchema = z.object({ login_code_ttl: loginTtlSchema });
export const addedUserSchema = userSchema.extend(loginCodeSchema.shape);

const memberSchema = z.object({ id: uuidSchema, name: z.string() });
export const groupSchema = z.object({
  id: uuidSchema,
  name: z.string(),
  members: z.array(memberSchema),
  created_at: timeSchema,
});
export type ApiGroup = z.output<typeof groupSchema>;
export const addGroupSchema = z.object({ name: nameSchema });

export const tokenSchema = z.object({
  id: tagSchema,
  name: z.string(),
  status: z.enum(['active', 'expired']),
  scopes: z.array(z.string()),
  /** Null for a service's, or the operator's own. */
  user: memberSchema.nullable(),
  device: memberSchema.nullable(),
  issued_on: timeSchema,
  expires_on: timeSchema.nullable(),
  /** To the minute; null when it never was. */
  last_used_on: timeSchema.nullable(),
});
export type ApiToken = z.output<typeof tokenSchema>;

export const createTokenSchema = z.object({
  name: nameSchema,
  /** Default: those of whoever runs tunnels, as far as the caller has them. */
  scopes: scopesSchema.optional(),
  expires_on: timeSchema.nullish(),
  /** Id of the user whose token it is; default the caller's own. */
  user_id: uuidSchema.nullish(),
});
/** `value` is the token, shown this once. */
export const createdTokenSchema = tokenSchema.extend({ value: z.string() });

export const deviceSchema = z.object({
  id: uuidSchema,
  name: z.string(),
  user: memberSchema,
  created_at: timeSchema,
});
export type ApiDevice = z.output<typeof deviceSchema>;
/** With a token for the ways into private networks. */
export const addDeviceSchema = z.object({ name: nameSchema, user_id: uuidSchema, expires_on: timeSchema.nullish() });
export const addedDeviceSchema = deviceSchema.extend({ token: createdTokenSchema });

export const verifiedTokenSchema = z.object({
  id: tagSchema,
  status: z.literal('active'),
  expires_on: timeSchema.optional(),
});

/** Whose the token is, and what a cert.pem needs to know. */
export const whoAmISchema = z.object({
  account: z.object({ id: z.string(), name: z.string() }),
  zone: z.object({ id: z.string(), name: z.string() }),
  user: memberSchema.nullable(),
  token: tokenSchema.pick({ id: true, name: true, scopes: true, expires_on: true }),
});
export type ApiWhoAmI = z.output<typeof whoAmISchema>;

export const auditQuerySchema = z.object({
  /** RFC 3339. */
  since: z.string().optional(),
  before: z.string().optional(),
  /** Name or id. */
  user: z.string().optional(),
  action: z.string().optional(),
  ...pageQuery,
});
export const auditEntrySchema = z.object({
  id: z.number(),
  when: timeSchema,
  action: z.string(),
  target: z.string(),
  /** Names are those of its time; empty where there was nobody. */
  actor: z.object({
    user_id: z.string(),
    user_name: z.string(),
    token_id: z.string(),
    token_name: z.string(),
    ip: z.string(),
  }),
  /** Documents without their secrets; null where there was nothing. */
  before: z.unknown(),
  after: z.unknown(),
});
export type ApiAuditEntry = z.output<typeof auditEntrySchema>;
