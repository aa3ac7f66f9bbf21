// The commands on load balancers and pools, for the registry in ../tunnel-commands.ts.

export const lbCommands = [
  {
    path: 'tunnel lb create',
    summary: 'Spread a host name over pools',
    inherits: 'tunnel',
    load: () => import('./lb/create.ts'),
  },
  {
    path: 'tunnel lb delete',
    summary: 'Delete a load balancer',
    inherits: 'tunnel',
    load: () => import('./lb/delete.ts'),
  },
  {
    path: 'tunnel lb list',
    summary: 'List the load balancers',
    inherits: 'tunnel',
    load: () => import('./lb/list.ts'),
  },
  {
    path: 'tunnel lb update',
    summary: 'Change a load balancer',
    inherits: 'tunnel',
    load: () => import('./lb/update.ts'),
  },
] as const;

export const poolCommands = [
  {
    path: 'tunnel pool add',
    summary: 'Put a tunnel or another origin into a pool',
    inherits: 'tunnel',
    load: () => import('./pool/add.ts'),
  },
  {
    path: 'tunnel pool check',
    summary: 'Check the health of the members of a pool',
    inherits: 'tunnel',
    load: () => import('./pool/check.ts'),
  },
  {
    path: 'tunnel pool create',
    summary: 'Create a pool of origins',
    inherits: 'tunnel',
    load: () => import('./pool/create.ts'),
  },
  {
    path: 'tunnel pool delete',
    summary: 'Delete a pool',
    inherits: 'tunnel',
    load: () => import('./pool/delete.ts'),
  },
  {
    path: 'tunnel pool health',
    summary: 'Show how the members of a pool are',
    inherits: 'tunnel',
    load: () => import('./pool/health.ts'),
  },
  {
    path: 'tunnel pool list',
    summary: 'List the pools',
    inherits: 'tunnel',
    load: () => import('./pool/list.ts'),
  },
  {
    path: 'tunnel pool remove',
    summary: 'Take a member out of a pool',
    inherits: 'tunnel',
    load: () => import('./pool/remove.ts'),
  },
  {
    path: 'tunnel pool update',
    summary: 'Change a pool',
    inherits: 'tunnel',
    load: () => import('./pool/update.ts'),
  },
] as const;
