// The commands of `tunnel route`; a part of the registry (../../commands.ts).

import type { CommandEntry } from '../../command-entry.ts';

/** Sorted by path. */
export const routeCommands: readonly CommandEntry[] = [
  {
    path: 'tunnel route dns',
    summary: 'Lead a public host name to a tunnel',
    inherits: 'tunnel',
    load: () => import('./dns.ts'),
  },
  {
    path: 'tunnel route dns delete',
    summary: 'Lead a public host name nowhere',
    inherits: 'tunnel',
    load: () => import('./dns/delete.ts'),
  },
  {
    path: 'tunnel route dns list',
    summary: 'List public host names that lead to tunnels',
    inherits: 'tunnel',
    load: () => import('./dns/list.ts'),
  },
  {
    path: 'tunnel route explain',
    summary: 'Say where a private network, address or name leads',
    inherits: 'tunnel',
    load: () => import('./explain.ts'),
  },
  {
    path: 'tunnel route hostname add',
    summary: 'Lead a private host name through a tunnel',
    inherits: 'tunnel',
    load: () => import('./hostname/add.ts'),
  },
  {
    path: 'tunnel route hostname delete',
    summary: 'Delete the route of a private host name',
    inherits: 'tunnel',
    load: () => import('./hostname/delete.ts'),
  },
  {
    path: 'tunnel route hostname list',
    summary: 'List private host names',
    hidden: true,
    inherits: 'tunnel',
    load: () => import('./hostname/show.ts'),
  },
  {
    path: 'tunnel route hostname show',
    summary: 'List private host names',
    inherits: 'tunnel',
    load: () => import('./hostname/show.ts'),
  },
  {
    path: 'tunnel route ip add',
    summary: 'Lead a private network through a tunnel',
    inherits: 'tunnel',
    load: () => import('./ip/add.ts'),
  },
  {
    path: 'tunnel route ip delete',
    summary: 'Delete a private route',
    inherits: 'tunnel',
    load: () => import('./ip/delete.ts'),
  },
  {
    path: 'tunnel route ip get',
    summary: 'Show the route that an address takes',
    inherits: 'tunnel',
    load: () => import('./ip/get.ts'),
  },
  {
    path: 'tunnel route ip list',
    summary: 'List private routes',
    hidden: true,
    inherits: 'tunnel',
    load: () => import('./ip/show.ts'),
  },
  {
    path: 'tunnel route ip overlaps',
    summary: 'List private routes that lie in others',
    inherits: 'tunnel',
    load: () => import('./ip/overlaps.ts'),
  },
  {
    path: 'tunnel route ip show',
    summary: 'List private routes',
    inherits: 'tunnel',
    load: () => import('./ip/show.ts'),
  },
  {
    path: 'tunnel route ip update',
    summary: 'Lead a private route through another tunnel',
    inherits: 'tunnel',
    load: () => import('./ip/update.ts'),
  },
];
