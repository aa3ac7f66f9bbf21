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
  /** `id` again; what follows stands in the later public API. */
  uuid: uuidSchema.optional(),
  client_id: uuidSchema.optional(),
  client_version: z.string().optional(),
  /** `quic` or `http2`; our edges alone tell it. */
  protocol: z.string().optional(),
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
  config_version: z.number().optional(),
});
export type ApiActiveClient = z.output<typeof activeClientSchema>;

export const tunnelStatusSchema = z.enum(['inactive', 'degraded', 'healthy', 'down']);

export const tunnelSchema = z.object({
  id: uuidSchema,
  name: z.string(),
  created_at: timeSchema,
  deleted_at: optionalTimeSchema,
  connections: connectionsSchema,
  account_tag: z.string().optional(),
  tun_type: z.string().optional(),
  status: tunnelStatusSchema.optional(),
  /** Since when it has had a connection without a gap; null while it has none. */
  conns_active_at: timeSchema.nullish(),
  /** When it lost its last connection; null while it has one, and when it never had. */
  conns_inactive_at: timeSchema.nullish(),
  /** Where its configuration is kept: at the connector, or at the edge. */
  config_src: z.enum(['local', 'cloudflare']).optional(),
  /** The same, as older clients read it. */
  remote_config: z.boolean().optional(),
  metadata: z.looseObject({}).nullish(),
});
export type ApiTunnel = z.output<typeof tunnelSchema>;

export const tunnelWithTokenSchema = tunnelSchema.extend({ token: z.string() });

const nameSchema = lineSchema(255).min(1);
/** Base64 of at least 32 bytes; checked where it is decoded. */
const secretSchema = z.string().max(2048);

/** Without a secret the edge makes one; the token in the answer holds it. */
export const createTunnelSchema = z.object({
  name: nameSchema,
  tunnel_secret: secretSchema.nullish(),
  config_src: z.enum(['local', 'cloudflare']).optional(),
});

export const updateTunnelSchema = z.object({ name: nameSchema.optional(), tunnel_secret: secretSchema.optional() });

/** A week is enough to bring a new token to every machine. */
export const maxOverlapSeconds = 7 * 24 * 60 * 60;
export const rotateTokenSchema = z.object({ overlap_seconds: z.int().min(0).max(maxOverlapSeconds) });
export const rotatedTokenSchema = z.object({ token: z.string(), old_token_valid_until: timeSchema });

export const tunnelQuerySchema = z.object({
  name: z.string().optional(),
  name_prefix: z.string().optional(),
  /** `name_prefix`, as the later public API calls it. */
  include_prefix: z.string().optional(),
  exclude_prefix: z.string().optional(),
  is_deleted: queryFlagSchema.optional(),
  existed_at: z.string().optional(),
  was_active_at: z.string().optional(),
  was_inactive_at: z.string().optional(),
  status: tunnelStatusSchema.optional(),
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
  account_id: z.string().optional(),
});
