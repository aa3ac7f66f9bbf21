// Private routes (by prefix and by host name) and virtual networks in the API. Source:
// docs/protocol/commands-and-api.md §9.2, §9.5, §9.6; routes by private host name follow the later public API of the
// same service.

import * as z from 'zod';
import { lineSchema, optionalTimeSchema, pageQuery, queryFlagSchema, timeSchema, uuidSchema } from './common.ts';

const commentSchema = lineSchema(1024).default('');
const optionalUuid = uuidSchema.nullish().transform(id => id ?? undefined);

export const ipRouteSchema = z.object({
  id: uuidSchema.optional(),
  network: z.string(),
  tunnel_id: optionalUuid,
  virtual_network_id: optionalUuid,
  comment: z.string().default(''),
  created_at: timeSchema.nullish(),
  deleted_at: optionalTimeSchema,
  tun_type: z.string().optional(),
});

export const detailedIpRouteSchema = ipRouteSchema.extend({
  id: uuidSchema,
  tunnel_name: z.string().default(''),
  virtual_network_name: z.string().optional(),
});
export type ApiIpRoute = z.output<typeof detailedIpRouteSchema>;

export const createIpRouteSchema = z.object({
  network: z.string().max(64),
  tunnel_id: uuidSchema,
  comment: commentSchema,
  virtual_network_id: optionalUuid,
});

/** The prefix is in the path. */
export const namedIpRouteSchema = createIpRouteSchema.omit({ network: true });

export const updateNamedIpRouteSchema = z.object({
  tunnel_id: optionalUuid,
  comment: lineSchema(1024).optional(),
});

export const updateIpRouteSchema = updateNamedIpRouteSchema.extend({
  network: z.string().max(64).optional(),
  virtual_network_id: optionalUuid,
});

export const ipRouteQuerySchema = z.object({
  tun_types: z.string().optional(),
  is_deleted: queryFlagSchema.optional(),
  existed_at: z.string().optional(),
  route_id: uuidSchema.optional(),
  network_subset: z.string().optional(),
  network_superset: z.string().optional(),
  comment: z.string().optional(),
  tunnel_id: uuidSchema.optional(),
  virtual_network_id: uuidSchema.optional(),
  ...pageQuery,
});

export const ipLookupQuerySchema = z.object({ virtual_network_id: uuidSchema.optional() });
export const namedIpRouteQuerySchema = z.object({
  virtual_network_id: uuidSchema.optional(),
  tunnel_id: uuidSchema.optional(),
});

export const privateHostnameSchema = z.object({
  id: uuidSchema,
  hostname: z.string(),
  tunnel_id: uuidSchema,
  tunnel_name: z.string().default(''),
  virtual_network_id: optionalUuid,
  comment: z.string().default(''),
  created_at: timeSchema,
  deleted_at: optionalTimeSchema,
  tun_type: z.string().optional(),
});
export type ApiPrivateHostname = z.output<typeof privateHostnameSchema>;

export const createPrivateHostnameSchema = z.object({
  hostname: z.string().min(1).max(253),
  tunnel_id: uuidSchema,
  comment: commentSchema,
  virtual_network_id: optionalUuid,
});

export const updatePrivateHostnameSchema = z.object({
  hostname: z.string().min(1).max(253).optional(),
  tunnel_id: optionalUuid,
  comment: lineSchema(1024).optional(),
  virtual_network_id: optionalUuid,
});

export const privateHostnameQuerySchema = z.object({
  id: uuidSchema.optional(),
  comment: z.string().optional(),
  existed_at: z.string().optional(),
  /** Any part of the name, in any case. */
  hostname: z.string().optional(),
  tunnel_id: uuidSchema.optional(),
  virtual_network_id: uuidSchema.optional(),
  is_deleted: queryFlagSchema.optional(),
  ...pageQuery,
});

export const networkSchema = z.object({
  id: uuidSchema,
  name: z.string(),
  comment: z.string().default(''),
  is_default_network: z.boolean(),
  created_at: timeSchema,
  deleted_at: optionalTimeSchema,
});
export type ApiNetwork = z.output<typeof networkSchema>;

export const createNetworkSchema = z.object({
  name: lineSchema(255).min(1),
  comment: commentSchema,
  is_default_network: z.boolean().default(false),
});

export const updateNetworkSchema = z.object({
  name: lineSchema(255).min(1).optional(),
  comment: lineSchema(1024).optional(),
  is_default_network: z.boolean().optional(),
});

export const networkQuerySchema = z.object({
  id: z.string().optional(),
  name: z.string().optional(),
  is_default: queryFlagSchema.optional(),
  is_deleted: queryFlagSchema.optional(),
  per_page: pageQuery.per_page,
});

export const deleteNetworkQuerySchema = z.object({ force: queryFlagSchema.optional() });
