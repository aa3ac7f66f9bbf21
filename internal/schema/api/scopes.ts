// What an API token may do, as words: `all`, `connect`, and `<resource>:read` or `<resource>:write`, where writing includes
// reading. Which call takes which is api/route-scope.ts.

import * as z from 'zod';

/** Things that calls are about, and what is meant by each. */
export const scopeResources = {
  tunnels: 'tunnels, their connectors, configurations and tokens',
  routes: 'private routes, private host names and virtual networks',
  dns: 'zones, and public host names that lead to tunnels',
  ports: 'public TCP and UDP ports that lead to tunnels',
  'load-balancers': 'load balancers, pools and monitors',
  users: 'users, groups and devices',
  tokens: 'API tokens',
  audit: 'the audit log',
} as const;

export type ScopeResource = keyof typeof scopeResources;

/** Scopes that are about no resource, and what each lets in to. */
export const wholeScopes = {
  all: 'everything, also what is in none of the other scopes',
  connect: 'the ways into private networks: SOCKS, the HTTP proxy, and pings',
} as const;

export type Scope = keyof typeof wholeScopes | `${ScopeResource}:${'read' | 'write'}`;

export const scopeNames: readonly string[] = [
  ...Object.keys(wholeScopes),
  ...Object.keys(scopeResources).flatMap(resource => [`${resource}:read`, `${resource}:write`]),
];

/** What whoever runs tunnels needs; given when nothing else is asked for. */
export const usualScopes: readonly Scope[] = [
  'tunnels:write',
  'routes:write',
  'dns:write',
  'ports:write',
  'load-balancers:write',
  'connect',
];

/** Scopes as callers name them: at least one, each known. */
export const scopesSchema = z
  .array(z.string())
  .min(1)
  .max(scopeNames.length)
  .refine(names => names.every(name => scopeNames.includes(name)), `must be of ${scopeNames.join(', ')}`)
  .transform(names => [...new Set(names)].toSorted());

/** Whether `have` is enough for one scope. */
export function hasScope(have: readonly string[], wanted: string): boolean {
  return have.includes('all') || have.includes(wanted) || have.includes(wanted.replace(/:read$/, ':write'));
}

/** Whether `have` is enough for all of `wanted`. */
export function coversScopes(have: readonly string[], wanted: readonly string[]): boolean {
  return wanted.every(scope => hasScope(have, scope));
}
