// Public host names of a tunnel in the API. Source: docs/protocol/commands-and-api.md §9.4.

import * as z from 'zod';
import { uuidSchema } from './common.ts';

export const addRouteSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('dns'),
    user_hostname: z.string().min(1).max(255),
    overwrite_existing: z.boolean().default(false),
    /** What happens to visitors' TLS: see `HostnameTls` of the store. Left out: as it is. */
    tls: z.enum(['terminate', 'passthrough', 'passthrough-v1', 'passthrough-v2']).optional(),
  }),
  z.object({ type: z.literal('lb'), lb_name: z.string().min(1).max(255), lb_pool: z.string().min(1).max(255) }),
]);

const changeSchema = z.enum(['new', 'updated', 'unchanged']);

/** What became of the host name (dns), or of load balancer and pool (lb). */
export const addRouteResultSchema = z.object({
  cname: changeSchema.optional(),
  /** Full name with the zone. */
  name: z.string().optional(),
  load_balancer: changeSchema.optional(),
  pool: changeSchema.optional(),
});

/** The route that a host name takes: one of that name, or a wildcard such as `*.example.com`; to a tunnel, or to pools. */
export const foundRouteSchema = z.object({
  hostname: z.string(),
  tunnel_id: uuidSchema.optional(),
  /** Names of a load balancer's pools. */
  pools: z.array(z.string()).optional(),
});
