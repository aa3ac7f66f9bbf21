// Where the service managers of Linux look, and where instances have their files. Source: hier(7).

import { type ServicePaths, unnamed } from './service.ts';

/** `definition` is the manager's own. */
export function unixPaths(name: string | undefined, definition: string): ServicePaths {
  const prefix = name === undefined ? '' : `${name}.`;
  return {
    definition,
    token: `/etc/postern/${prefix}token`,
    config: `/etc/postern/${prefix}config.yml`,
    state: `/var/lib/postern/${name ?? unnamed}`,
  };
}

/** What managers without instances call one. */
export function unixLabel(name: string | undefined): string {
  return name === undefined ? 'postern' : `postern-${name}`;
}
