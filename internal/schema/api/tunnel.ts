// Tunnels, their connections and remote configurations as the API shows them. Source: docs/protocol/commands-and-api.md
// §9.2, §9.3; docs/protocol/ingress-and-origin.md §5 for the configuration.

import * as z from 'zod';
import { lineSchema, optionalTimeSchema, pageQuery, queryFlagSchema, timeSchema, uuidSchema } from './common.ts';

const connectionSchema = z.object({
  colo_name: z.string(),
  id: uuidSchema,
  is_pending_reconnect: z.boolean().default(false),
  origin_ip: z.string(),
  opened_at: timeSchema,
});
export type ApiConnection = z.output<typeof connectionSchema>;

const connectionsSchema = z
  .array(connectionSchema)
  .nullish()
  .transform(list => list ?? []);

/** One connector and its connections. */
export const activeClientSchema = z.object({
  id: uuidSchema,
  features: z
    .array(z.string())
    .nullish()
    .transform(list => list ?? []),
  version: z.string().default(''),
  arch: z.string().default(''),
  run_at: timeSchema,
  conns: connectionsSchema,
});
export type ApiActiveClient = z.output<typeof activeClientSchema>;

export const tunnelSchema = z.object({
  id: uuidSchema,
  name: z.string(),
  created_at: timeSchema,
  deleted_at: optionalTimeSchema,
  connections: connectionsSchema,
});
export type ApiTunnel = z.output<typeof tunnelSchema>;

export const tunnelWithTokenSchema = tunnelSchema.extend({ token: z.string() });

/** `tunnel_secret`: base64 of at least 32 bytes; checked where it is decoded. */
export const createTunnelSchema = z.object({
  name: lineSchema(255).min(1),
  tunnel_secret: z.string().max(2048),
});

export const tunnelQuerySchema = z.object({
  name: z.string().optional(),
  name_prefix: z.string().optional(),
  exclude_prefix: z.string().optional(),
  is_deleted: queryFlagSchema.optional(),
  existed_at: z.string().optional(),
  uuid: z.string().optional(),
  ...pageQuery,
});

export const deleteTunnelQuerySchema = z.object({ cascade: queryFlagSchema.optional() });
export const cleanupQuerySchema = z.object({ client_id: uuidSchema.optional() });

/**
 * Connectors refuse a whole update for one duration that is not an integer of seconds
 * (docs/protocol/ingress-and-origin.md §5).
 */
const secondsSchema = z.int('must be a whole number of seconds').min(0);

const originRequestSchema = z.looseObject({
  connectTimeout: secondsSchema.optional(),
  tlsTimeout: secondsSchema.optional(),
  tcpKeepAlive: secondsSchema.optional(),
  keepAliveTimeout: secondsSchema.optional(),
});

const remoteRuleSchema = z.looseObject({
  hostname: z.string().optional(),
  path: z.string().optional(),
  service: z.string().min(1),
  originRequest: originRequestSchema.optional(),
});

/** The configuration pushed to connectors. Rules are checked in shape only; each connector checks the whole. */
const remoteConfigSchema = z.looseObject({
  ingress: z
    .array(remoteRuleSchema)
    .refine(
      rules => rules.length === 0 || (!rules.at(-1)?.hostname && !rules.at(-1)?.path),
      'The last ingress rule must match all URLs (i.e. it should not have a hostname or path filter)',
    )
    .optional(),
  originRequest: originRequestSchema.optional(),
  'warp-routing': z
    .looseObject({ connectTimeout: secondsSchema.optional(), tcpKeepAlive: secondsSchema.optional() })
    .optional(),
});

export const putConfigurationSchema = z.object({ config: remoteConfigSchema });

export const configurationSchema = z.object({
  tunnel_id: uuidSchema,
  /** 0 = none was set: the tunnel is locally managed. */
  version: z.number(),
  config: z.looseObject({}).nullable(),
  source: z.string().default(''),
  created_at: z.string().nullish(),
});
