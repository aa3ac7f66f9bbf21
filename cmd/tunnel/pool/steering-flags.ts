// The flags about how a pool spreads requests over its members.

import type { Flag } from '../../../internal/config/flag.ts';
import { PosternError } from '../../../internal/errors/error.ts';

/** As typed, and as the API has it. */
const policies = { random: 'random', hash: 'hash', least: 'least_outstanding_requests' } as const;

export const steeringFlags = [
  {
    name: 'steering',
    type: 'string',
    valueName: 'HOW',
    description: 'random by weight; hash: one visitor, one member; or least: the one with the fewest requests',
    check: value => (typeof value === 'string' && value in policies ? undefined : 'is none of random, hash and least'),
  },
  {
    name: 'hash-cookie',
    type: 'string',
    valueName: 'NAME',
    description: 'Hash this cookie of the visitor, or the address where there is none',
  },
  {
    name: 'minimum',
    type: 'integer',
    valueName: 'N',
    description: 'So many members must be well for the pool to be',
  },
] as const satisfies readonly Flag[];

interface SteeringValues {
  readonly steering: string | undefined;
  readonly hashCookie: string | undefined;
  readonly minimum: number | undefined;
}

/** The fields that the flags say; nothing that they do not. Throws 'usage.invalid'. */
export function steeringOf(values: SteeringValues) {
  const { steering, hashCookie, minimum } = values;
  if (hashCookie && steering !== 'hash') throw new PosternError('usage.invalid', '--hash-cookie needs --steering hash');
  const policy = policies[steering as keyof typeof policies];
  return {
    ...(steering ? { origin_steering: { policy, ...(hashCookie ? { hash_cookie: hashCookie } : {}) } } : {}),
    ...(minimum === undefined ? {} : { minimum_origins: minimum }),
  };
}
