// Monitors, pools and load balancers in the API, with the names and ranges of the public v4 API for what this edge can do;
// what it cannot do is refused, not ignored. docs/load-balancing.md says what each field does.

import * as z from 'zod';
import { isManagementHost } from '../../net/http/management-host.ts';
import { lineSchema, pageQuery, timeSchema, uuidSchema } from './common.ts';

/** Members of one pool, and pools of one load balancer. */
export const maxMembers = 64;
export const maxPoolsOfBalancer = 32;

const description = lineSchema(1024).default('');
const hostHeader = z
  .string()
  .regex(/^[-_.:[\]a-zA-Z0-9]{1,255}$/, 'must be a host name, with a port if need be')
  .refine(host => !isManagementHost(host), "is the connectors' own name: name the host of an origin");
/** Other headers would let a member pose as the edge. */
const hostOnly = z
  .object({ Host: z.array(hostHeader).max(1).optional() })
  .strict()
  .default({});
const tag = z.string().max(64);
/** Names of the account's own, as stock commands check a pool's. */
const poolName = z
  .string()
  .max(255)
  .regex(/^[_a-zA-Z0-9][-_.a-zA-Z0-9]*$/, 'must be of letters, digits, "-", "_" and "."');
const headerName = z.string().regex(/^[!#$%&'*+.^_`|~0-9a-zA-Z-]{1,100}$/, 'must be the name of a header or a cookie');
/** What the public API has and this edge has not: left out, or empty. */
const lacking = (what: string) => {
  const text = `this edge has no ${what}`;
  const empty = [
    z.literal(false),
    z.literal(''),
    z.null(),
    z.strictObject({}, text),
    z.array(z.never(), text),
  ] as const;
  return z.union(empty, text).optional();
};

const monitorFields = {
  type: z.enum(['http', 'tcp']).default('http'),
  description,
  method: z.enum(['GET', 'HEAD', 'OPTIONS']).default('GET'),
  path: z
    .string()
    .max(1024)
    .regex(/^\/[\x21-\x7e]*$/, 'must begin with / and hold no spaces')
    .default('/'),
  header: hostOnly,
  /** Of private members; 0: the member's own. */
  port: z.number().int().min(0).max(65_535).default(0),
  /** Seconds. */
  interval: z.number().int().min(1).max(3600).default(60),
  timeout: z.number().int().min(1).max(60).default(5),
  /** Further tries at once before a check counts as failed. */
  retries: z.number().int().min(0).max(5).default(0),
  consecutive_up: z.number().int().min(0).max(100).default(2),
  consecutive_down: z.number().int().min(0).max(100).default(2),
  expected_codes: z
    .string()
    .max(100)
    .regex(
      /^([1-5]xx|[1-5]\d\d(-[1-5]\d\d)?)(,([1-5]xx|[1-5]\d\d(-[1-5]\d\d)?))*$/,
      'must be like 2xx, 200-204 or 200,301',
    )
    .default('2xx'),
  /** Text that the body must hold, in any letter case. */
  expected_body: z.string().max(256).default(''),
  follow_redirects: lacking('redirects of monitors'),
  allow_insecure: lacking('TLS to members'),
};

const memberFields = z.object({
  name: lineSchema(255).min(1),
  /** `<tunnel id>.cfargotunnel.com`, a routed host name, or an address or name of a virtual network. */
  address: z.string().min(1).max(253),
  enabled: z.boolean().default(true),
  weight: z.number().min(0).max(1).default(1),
  /** Of private members; 0: 80. */
  port: z.number().int().min(0).max(65_535).default(0),
  header: hostOnly,
  virtual_network_id: uuidSchema.nullish().transform(id => id ?? undefined),
});

const poolFields = {
  name: poolName,
  description,
  enabled: z.boolean().default(true),
  minimum_origins: z.number().int().min(0).max(maxMembers).default(1),
  monitor: z.union([tag, z.null().transform(() => '')]).default(''),
  origins: z.array(memberFields).max(maxMembers).default([]),
  origin_steering: z
    .object({
      policy: z.enum(['random', 'hash', 'least_outstanding_requests', 'least_connections']).default('random'),
      /** Hashed in the place of the visitor's address, where the visitor sends it. */
      hash_cookie: headerName.optional(),
    })
    .default({ policy: 'random' }),
  load_shedding: lacking('load shedding'),
};

const affinities = ['none', 'cookie', 'ip_cookie', 'header', 'ip'] as const;

const balancerFields = {
  name: z.string().min(1).max(255),
  description,
  enabled: z.boolean().default(true),
  proxied: z.literal(true, 'must be true: visitors reach origins through the edge alone').default(true),
  default_pools: z.array(tag).max(maxPoolsOfBalancer).default([]),
  fallback_pool: tag,
  steering_policy: z.enum(['', 'off', 'random', 'least_outstanding_requests']).default('off'),
  random_steering: z
    .object({
      default_weight: z.number().min(0).max(1).default(1),
      pool_weights: z.record(tag, z.number().min(0).max(1)).default({}),
    })
    .default({ default_weight: 1, pool_weights: {} }),
  session_affinity: z.enum(affinities).default('none'),
  /** Seconds that a cookie is good for. */
  session_affinity_ttl: z.number().int().min(1800).max(604_800).default(82_800),
  session_affinity_attributes: z
    .object({
      samesite: z.enum(['Auto', 'Lax', 'None', 'Strict']).default('Auto'),
      secure: z.enum(['Auto', 'Always', 'Never']).default('Auto'),
      headers: z.array(headerName).max(5).default([]),
      require_all_headers: z.boolean().default(false),
      zero_downtime_failover: z.enum(['temporary', 'sticky']).default('sticky'),
    })
    .default({
      samesite: 'Auto',
      secure: 'Auto',
      headers: [],
      require_all_headers: false,
      zero_downtime_failover: 'sticky',
    }),
  region_pools: lacking('regions'),
  country_pools: lacking('countries'),
  pop_pools: lacking('other places'),
  rules: lacking('rules of load balancers'),
};

export const putMonitorSchema = z.object(monitorFields);
export const putPoolSchema = z.object(poolFields);
export const putBalancerSchema = z.object(balancerFields);

/** A document with each field optional and none made up. */
function patchOf<Shape extends Readonly<Record<string, z.ZodType>>>(fields: Shape) {
  const optional = Object.entries(fields).map(([name, field]) => {
    const given = field instanceof z.ZodDefault ? (field.unwrap() as z.ZodType) : field;
    return [name, given.optional()] as const;
  });
  return z.object(
    Object.fromEntries(optional) as unknown as {
      [Name in keyof Shape]: z.ZodOptional<z.ZodType<z.output<Shape[Name]>, z.input<Shape[Name]>>>;
    },
  );
}

export const patchMonitorSchema = patchOf(monitorFields);
export const patchPoolSchema = patchOf(poolFields);
export const patchBalancerSchema = patchOf(balancerFields);

export type MonitorDocument = z.output<typeof putMonitorSchema>;
export type PoolDocument = z.output<typeof putPoolSchema>;
export type MemberDocument = z.output<typeof memberFields>;
export type BalancerDocument = z.output<typeof putBalancerSchema>;

const stamped = { id: z.string(), created_on: timeSchema, modified_on: timeSchema };
export const monitorSchema = putMonitorSchema.extend(stamped);
export const poolSchema = putPoolSchema.extend(stamped);
export const balancerSchema = putBalancerSchema.extend({ ...stamped, zone_id: z.string().optional() });

export const removedSchema = z.object({ id: z.string() });
export const poolQuerySchema = z.object({ monitor: z.string().optional(), ...pageQuery });
export const pagedQuerySchema = z.object(pageQuery);

const memberHealthSchema = z.object({
  name: z.string(),
  healthy: z.boolean(),
  /** Go duration text of the last check, as the public API has it. */
  rtt: z.string(),
  response_code: z.number().int(),
  failure_reason: z.string(),
  /** Connectors, or 1 for a private member. */
  replicas: z.number().int(),
  healthy_replicas: z.number().int(),
  /** Requests without a complete answer. */
  outstanding: z.number().int(),
});
export type MemberHealth = z.output<typeof memberHealthSchema>;

/** By place: this edge's. An origin is a key of its address, as the public API has it. */
export const poolHealthSchema = z.object({
  pool_id: z.string(),
  pop_health: z.record(
    z.string(),
    z.object({ healthy: z.boolean(), origins: z.array(z.record(z.string(), memberHealthSchema)) }),
  ),
});
