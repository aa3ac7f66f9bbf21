// Accounts, zones and DNS records in the API, as far as an edge has them: a record is a public host name that leads to a
// tunnel, written as the CNAME that stands for it. Source: docs/protocol/commands-and-api.md §9.1; shapes of the public v4
// API of the same service.

import * as z from 'zod';
import { lineSchema, pageQuery, queryFlagSchema, timeSchema } from './common.ts';

export const accountSchema = z.object({
  id: z.string(),
  name: z.string(),
  type: z.string().optional(),
  created_on: timeSchema.optional(),
});

export const accountQuerySchema = z.object({ name: z.string().optional(), ...pageQuery });

export const zoneSchema = z.object({
  id: z.string(),
  name: z.string(),
  status: z.string().optional(),
  paused: z.boolean().optional(),
  type: z.string().optional(),
  account: z.object({ id: z.string(), name: z.string() }).partial().optional(),
  name_servers: z.array(z.string()).nullish(),
  created_on: timeSchema.nullish(),
  modified_on: timeSchema.nullish(),
  activated_on: timeSchema.nullish(),
});

export const zoneQuerySchema = z.object({
  name: z.string().optional(),
  status: z.string().optional(),
  'account.id': z.string().optional(),
  'account.name': z.string().optional(),
  ...pageQuery,
});

export const dnsRecordSchema = z.object({
  id: z.string(),
  name: z.string(),
  type: z.string(),
  /** `<tunnel id>.cfargotunnel.com` */
  content: z.string().default(''),
  proxiable: z.boolean().optional(),
  proxied: z.boolean().optional(),
  /** 1 = automatic. */
  ttl: z.number().optional(),
  comment: z.string().nullish(),
  tags: z.array(z.string()).nullish(),
  settings: z.looseObject({}).nullish(),
  meta: z.looseObject({}).nullish(),
  zone_id: z.string().optional(),
  zone_name: z.string().optional(),
  created_on: timeSchema.optional(),
  modified_on: timeSchema.optional(),
});
export type ApiDnsRecord = z.output<typeof dnsRecordSchema>;

/** Largest lifetime that the v4 API takes; it means nothing here, names that lead to tunnels are not asked for elsewhere. */
const maxTtlS = 86_400;

const changesSchema = z.object({
  type: z.literal('CNAME', 'this edge has CNAME records to <tunnel id>.cfargotunnel.com only'),
  name: z.string().min(1).max(255),
  content: z.string().min(1).max(255),
  proxied: z.literal(true, 'records that lead to tunnels are always proxied: leave it out, or true').optional(),
  ttl: z.number().int().min(1).max(maxTtlS).optional(),
  comment: lineSchema(500).nullish(),
  tags: z.array(z.string()).max(0, 'this edge keeps no tags').optional(),
  settings: z.looseObject({}).optional(),
});

export const createDnsRecordSchema = changesSchema;
export const updateDnsRecordSchema = changesSchema.partial();

const operators = ['exact', 'contains', 'startswith', 'endswith'] as const;
const text = z.string().max(255).optional();

/** `name`, `name.exact` and the like, for each of these. */
function textFilters<const Name extends string>(name: Name) {
  const keys = [name, ...operators.map(operator => `${name}.${operator}` as const)];
  return Object.fromEntries(keys.map(key => [key, text])) as {
    [Key in Name | `${Name}.${(typeof operators)[number]}`]: typeof text;
  };
}

export const dnsRecordQuerySchema = z.object({
  ...textFilters('name'),
  ...textFilters('content'),
  ...textFilters('comment'),
  type: z.string().optional(),
  proxied: queryFlagSchema.optional(),
  search: text,
  match: z.enum(['any', 'all']).default('all'),
  order: z.enum(['type', 'name', 'content', 'ttl', 'proxied']).default('name'),
  direction: z.enum(['asc', 'desc']).default('asc'),
  ...pageQuery,
});

export const deletedSchema = z.object({ id: z.string() });
