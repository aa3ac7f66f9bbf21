// The registry of commands: one line each, sorted by path. A command's file is loaded when it is called, so that
// starting stays fast. Source: spec cli-and-api §2.

import type { Command } from './command.ts';

export interface CommandEntry {
  /** Words: `tunnel ingress validate`. The empty path is the program itself, called with flags only. */
  readonly path: string;
  readonly summary: string;
  /** Not in listings. */
  readonly hidden?: boolean;
  /** Which flags of upper levels it takes: those of `tunnel`, or only those about logging. */
  readonly inherits: 'tunnel' | 'log';
  readonly load: () => Promise<{ readonly command: Command }>;
}

export const commands: readonly CommandEntry[] = [
  {
    path: 'edge run',
    summary: 'Run an edge node that connectors dial',
    inherits: 'log',
    load: () => import('./edge/run.ts'),
  },
  {
    path: 'tunnel cleanup',
    summary: 'Close the connections of a tunnel',
    inherits: 'tunnel',
    load: () => import('./tunnel/cleanup.ts'),
  },
  {
    path: 'tunnel create',
    summary: 'Create a tunnel',
    inherits: 'tunnel',
    load: () => import('./tunnel/create.ts'),
  },
  {
    path: 'tunnel delete',
    summary: 'Delete a tunnel',
    inherits: 'tunnel',
    load: () => import('./tunnel/delete.ts'),
  },
  {
    path: 'tunnel info',
    summary: 'Show a tunnel and its connectors',
    inherits: 'tunnel',
    load: () => import('./tunnel/info.ts'),
  },
  {
    path: 'tunnel ingress rule',
    summary: 'Show which ingress rule a URL matches',
    inherits: 'tunnel',
    load: () => import('./tunnel/ingress/rule.ts'),
  },
  {
    path: 'tunnel ingress validate',
    summary: 'Check the ingress rules of the config file',
    inherits: 'tunnel',
    load: () => import('./tunnel/ingress/validate.ts'),
  },
  {
    path: 'tunnel list',
    summary: 'List the tunnels of the account',
    inherits: 'tunnel',
    load: () => import('./tunnel/list.ts'),
  },
  {
    path: 'tunnel run',
    summary: 'Connect to the edge and serve a tunnel',
    inherits: 'tunnel',
    load: () => import('./tunnel/run.ts'),
  },
  {
    path: 'tunnel token',
    summary: 'Print the token of a tunnel',
    inherits: 'tunnel',
    load: () => import('./tunnel/token.ts'),
  },
  {
    path: 'version',
    summary: 'Print the version',
    inherits: 'log',
    load: () => import('./version.ts'),
  },
];

/** Groups of commands: what the help says of them. */
export const groups: Readonly<Record<string, string>> = {
  '': 'Publish services that sit behind a firewall',
  edge: 'Run an edge node that connectors dial',
  tunnel: 'Run and manage tunnels',
  'tunnel ingress': 'Check and try ingress rules',
};
