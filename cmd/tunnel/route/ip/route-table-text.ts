// The table of private routes as `route ip show` and `route ip get` print it. Source: docs/protocol/commands-and-api.md
// §5.5.

import { formatSeconds, formatTable } from '../../../table.ts';

interface ShownRoute {
  readonly id?: string | undefined;
  readonly network?: string | undefined;
  readonly virtual_network_id?: string | undefined;
  readonly comment?: string | undefined;
  readonly tunnel_id?: string | undefined;
  readonly tunnel_name?: string | undefined;
  readonly created_at?: string | null | undefined;
  readonly deleted_at?: string | null | undefined;
}

export function formatRoutes(routes: readonly ShownRoute[]): string {
  const rows = routes.map(route => [
    route.id ?? '',
    route.network ?? '',
    route.virtual_network_id ?? 'default',
    route.comment ?? '',
    route.tunnel_id ?? '',
    route.tunnel_name ?? '',
    route.created_at ? formatSeconds(route.created_at) : '-',
    route.deleted_at ? formatSeconds(route.deleted_at) : '-',
  ]);
  const header = ['ID', 'NETWORK', 'VIRTUAL NET ID', 'COMMENT', 'TUNNEL ID', 'TUNNEL NAME', 'CREATED', 'DELETED'];
  return formatTable(header, rows);
}
