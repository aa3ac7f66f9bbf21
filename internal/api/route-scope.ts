// Which scope a token needs for a call: one table by the path. A feature says it in its own route. A path that
// is in neither takes the scope `all`, so that a new call is closed until somebody says whose it is.

import type { Scope, ScopeResource } from '../schema/api/scopes.ts';
import type { ApiRoute } from './route.ts';

/** Beginnings of paths, the longest that fits counts. */
const resources: Readonly<Record<string, ScopeResource | 'connect'>> = {
  '/accounts/{account}/audit_logs': 'audit',
  '/accounts/{account}/certificates': 'dns',
  '/accounts/{account}/cfd_tunnel': 'tunnels',
  '/accounts/{account}/devices': 'users',
  '/accounts/{account}/groups': 'users',
  '/accounts/{account}/hostnames': 'dns',
  '/accounts/{account}/load_balancers': 'load-balancers',
  '/accounts/{account}/public_ports': 'ports',
  '/accounts/{account}/teamnet': 'routes',
  '/accounts/{account}/teamnet/echo': 'connect',
  '/accounts/{account}/tokens': 'tokens',
  '/accounts/{account}/users': 'users',
  '/accounts/{account}/zerotrust/routes': 'routes',
  '/zones/{zone}': 'dns',
  '/zones/{zone}/load_balancers': 'load-balancers',
};

/** Undefined where any token will do, or none. */
export function scopeOf(
  route: Pick<ApiRoute, 'method' | 'path' | 'owner' | 'reveals' | 'resource'>,
): Scope | undefined {
  if (route.owner === 'anyone' || route.owner === 'caller') return undefined;
  const [longest] = Object.keys(resources)
    .filter(start => route.path === start || route.path.startsWith(`${start}/`))
    .toSorted((a, b) => b.length - a.length);
  const resource = route.resource ?? (longest === undefined ? undefined : resources[longest]);
  if (resource === undefined) return 'all';
  if (resource === 'connect') return resource;
  return `${resource}:${route.method === 'GET' && route.reveals !== true ? 'read' : 'write'}`;
}
