// Flags that commands on users, devices and tokens share.

import type { Flag } from '../internal/config/flag.ts';
import { oneOf } from '../internal/config/flag-checks.ts';
import { scopeNames, usualScopes } from '../internal/schema/api/scopes.ts';

export const scopeFlag = {
  name: 'scope',
  type: 'list',
  valueName: 'SCOPE',
  check: values =>
    (values as readonly string[]).map(oneOf('Unknown scope', scopeNames)).find(fault => fault !== undefined),
  description: `What it is good for, repeatable: ${scopeNames.join(', ')} (default: ${usualScopes.join(', ')})`,
} as const satisfies Flag;

export const expiresFlag = {
  name: 'expires',
  type: 'duration',
  valueName: 'TIME',
  description: 'How long it is good, as 720h; without it for ever',
} as const satisfies Flag;

/** Scopes for the API: undefined leaves them to the edge. */
export function scopesOf(names: readonly string[]): string[] | undefined {
  return names.length === 0 ? undefined : [...names];
}

/** The time for the API. */
export function expiryOf(durationMs: number | undefined): string | undefined {
  return durationMs === undefined ? undefined : new Date(Date.now() + durationMs).toISOString();
}
