// The flags about how a load balancer spreads requests over its pools, and how visitors come back to where they were.

import type { Flag } from '../../../internal/config/flag.ts';
import { PosternError } from '../../../internal/errors/error.ts';

const policies = { failover: 'off', random: 'random', least: 'least_outstanding_requests' } as const;
const affinities = { none: 'none', cookie: 'cookie', header: 'header', address: 'ip' } as const;

export const balancerFlags = [
  {
    name: 'steering',
    type: 'string',
    valueName: 'HOW',
    description: 'failover: the first pool that is well; random; or least: the one with the fewest requests',
    check: value =>
      typeof value === 'string' && value in policies ? undefined : 'is none of failover, random and least',
  },
  {
    name: 'affinity',
    type: 'string',
    valueName: 'HOW',
    description: 'How visitors come back to where they were: none, cookie, header or address',
    check: value =>
      typeof value === 'string' && value in affinities ? undefined : 'is none of none, cookie, header and address',
  },
  {
    name: 'affinity-header',
    type: 'list',
    valueName: 'NAME',
    description: 'Header that tells one visitor from another; several times for several',
  },
  { name: 'affinity-ttl', type: 'duration', description: 'How long a cookie is good: 30m to 168h; default: 23h' },
  { name: 'fallback', type: 'string', valueName: 'POOL', description: 'Pool that is asked when all are down' },
] as const satisfies readonly Flag[];

interface BalancerValues {
  readonly steering: string | undefined;
  readonly affinity: string | undefined;
  readonly affinityHeader: readonly string[];
  readonly affinityTtlMs: number | undefined;
}

/** The fields that the flags say; nothing that they do not. Throws 'usage.invalid'. */
export function balancerFieldsOf(values: BalancerValues) {
  const { steering, affinity, affinityHeader: headers, affinityTtlMs } = values;
  if ((affinity === 'header') !== headers.length > 0)
    throw new PosternError('usage.invalid', '--affinity header and --affinity-header NAME go together');
  return {
    ...(steering ? { steering_policy: policies[steering as keyof typeof policies] } : {}),
    ...(affinity ? { session_affinity: affinities[affinity as keyof typeof affinities] } : {}),
    ...(headers.length > 0 ? { session_affinity_attributes: { headers: [...headers] } } : {}),
    ...(affinityTtlMs === undefined ? {} : { session_affinity_ttl: Math.round(affinityTtlMs / 1000) }),
  };
}
