// The table of docs/accounts.md: every scope, what it is good for, and the calls of the API that take it.

import { scopeOf } from '../../internal/api/route-scope.ts';
import { apiRoutes } from '../../internal/api/routes.ts';
import { scopeResources, usualScopes, wholeScopes } from '../../internal/schema/api/scopes.ts';
import { table } from './markdown.ts';

export function scopeTable(): string {
  const rows: [string, string][] = [
    ...Object.entries(wholeScopes),
    ...Object.entries(scopeResources).flatMap(([resource, what]): [string, string][] => [
      [`${resource}:read`, `to see ${what}`],
      [`${resource}:write`, `to change ${what}`],
    ]),
  ];
  const callsOf = (scope: string): string =>
    Object.values(apiRoutes)
      .filter(route => scopeOf(route) === scope)
      .map(({ op }) => op)
      .join(', ');
  const isUsual = (scope: string): string => (usualScopes.some(usual => usual === scope) ? 'yes' : '');
  return table(
    ['scope', 'good for', 'calls that take it', 'given when none is named'],
    rows.map(([scope, what]) => [`\`${scope}\``, what, callsOf(scope), isUsual(scope)]),
  );
}
