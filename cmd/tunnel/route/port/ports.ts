// Public ports as the commands show them.

import type { ApiPublicPort } from '../../../../internal/schema/api/public-port.ts';

/** Where a port leads, in words. */
export function leadsTo({ target, hostname }: Pick<ApiPublicPort, 'target' | 'hostname'>): string {
  return target ?? `the ingress rule for ${hostname ?? ''}`;
}
