// What `--output json` prints of pools and load balancers: the documents of the API.

import * as z from 'zod';

const time = z.iso.datetime();
const stamps = { id: z.string(), created_on: time, modified_on: time };

const member = z.strictObject({
  name: z.string(),
  address: z.string().describe('TUNNEL-ID.cfargotunnel.com, a routed host name, or a private address or name'),
  enabled: z.boolean(),
  weight: z.number().min(0).max(1),
  port: z.int().describe('Of a private member; 0: 80'),
  header: z.strictObject({ Host: z.array(z.string()).optional() }),
  virtual_network_id: z.uuid().optional(),
});

export const printedPool = z.strictObject({
  name: z.string(),
  description: z.string(),
  enabled: z.boolean(),
  minimum_origins: z.int(),
  monitor: z.string().describe('ID; empty: none'),
  origins: z.array(member),
  origin_steering: z.strictObject({
    policy: z.enum(['random', 'hash', 'least_outstanding_requests', 'least_connections']),
    hash_cookie: z.string().optional(),
  }),
  ...stamps,
});

export const printedPoolHealth = z.strictObject({
  pool_id: z.string(),
  pop_health: z
    .record(
      z.string(),
      z.strictObject({
        healthy: z.boolean(),
        origins: z.array(
          z.record(
            z.string(),
            z.strictObject({
              name: z.string(),
              healthy: z.boolean(),
              rtt: z.string().describe('Of the last check'),
              response_code: z.int(),
              failure_reason: z.string(),
              replicas: z.int().describe('Connectors'),
              healthy_replicas: z.int(),
              outstanding: z.int().describe('Requests without a complete answer'),
            }),
          ),
        ),
      }),
    )
    .describe('By place of the edge'),
});

export const printedBalancer = z.strictObject({
  name: z.string().describe('Host name'),
  description: z.string(),
  enabled: z.boolean(),
  proxied: z.literal(true),
  default_pools: z.array(z.string()).describe('IDs, in their order'),
  fallback_pool: z.string(),
  steering_policy: z.enum(['', 'off', 'random', 'least_outstanding_requests']),
  random_steering: z.strictObject({ default_weight: z.number(), pool_weights: z.record(z.string(), z.number()) }),
  session_affinity: z.enum(['none', 'cookie', 'ip_cookie', 'header', 'ip']),
  session_affinity_ttl: z.int().describe('Seconds'),
  session_affinity_attributes: z.strictObject({
    samesite: z.enum(['Auto', 'Lax', 'None', 'Strict']),
    secure: z.enum(['Auto', 'Always', 'Never']),
    headers: z.array(z.string()),
    require_all_headers: z.boolean(),
    zero_downtime_failover: z.enum(['temporary', 'sticky']),
  }),
  ...stamps,
  zone_id: z.string().optional(),
});
