// Public ports of an edge in the API: where a port leads, and what it lets through.

import * as z from 'zod';
import { timeSchema, uuidSchema } from './common.ts';

/** Longest time a connection may say nothing: a day; Node's timers bear 24. */
export const maxIdleSeconds = 86_400;

/** What may be chosen of a port; the store keeps it as text. */
export const portSettingsSchema = z.object({
  /** Host name that chooses an ingress rule for TCP at the connector. Not with `target`. */
  hostname: z.string().min(1).max(253).optional(),
  /** `host:port` beside the connector, which it dials. UDP needs one with an address. */
  target: z.string().min(1).max(300).optional(),
  proxy_protocol: z.enum(['v1', 'v2']).optional(),
  /** Prefixes of addresses that may connect; empty = all. */
  allow: z.array(z.string().max(64)).max(100).default([]),
  /** Seconds a connection or session may say nothing; 0 = for ever, TCP only. */
  idle_timeout: z.number().int().min(0).max(maxIdleSeconds).optional(),
  /** Connections or sessions at once, of all and of one address (an IPv6 /64 counts as one). */
  max_connections: z.number().int().min(1).max(16_384).default(1_000),
  max_per_address: z.number().int().min(1).max(16_384).default(100),
});

export const createPublicPortSchema = portSettingsSchema.extend({
  protocol: z.enum(['tcp', 'udp']),
  /** 0 = a free one. */
  port: z.number().int().min(0).max(65_535),
  tunnel_id: uuidSchema,
});

export const publicPortSchema = portSettingsSchema.extend({
  id: uuidSchema,
  protocol: z.enum(['tcp', 'udp']),
  port: z.number().int(),
  tunnel_id: uuidSchema,
  tunnel_name: z.string().default(''),
  idle_timeout: z.number(),
  created_at: timeSchema,
  /** `listening`, or why this edge does not listen. */
  status: z.string(),
});
export type ApiPublicPort = z.output<typeof publicPortSchema>;
