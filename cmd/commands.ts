// The registry of commands: one line each, sorted by path; those below `tunnel` stand in tunnel-commands.ts. A command's file is
// loaded when it is called, so that starting stays fast. Source: docs/protocol/commands-and-api.md §2.

import type { CommandEntry } from './command-entry.ts';
import { tunnelCommands } from './tunnel-commands.ts';

/** Sorted by path; a test holds the order and loads every one. */
export const commands: readonly CommandEntry[] = [
  {
    path: 'audit',
    summary: 'Show who changed what, and when',
    inherits: 'tunnel',
    load: () => import('./audit.ts'),
  },
  {
    path: 'completion',
    summary: 'Print a script that completes command lines in a shell',
    inherits: 'log',
    load: () => import('./completion/completion.ts'),
  },
  {
    path: 'device add',
    summary: 'Add a machine of a user',
    inherits: 'tunnel',
    load: () => import('./device/add.ts'),
  },
  {
    path: 'device list',
    summary: 'List the machines of users',
    inherits: 'tunnel',
    load: () => import('./device/list.ts'),
  },
  {
    path: 'device remove',
    summary: 'Remove a machine, and cut what it runs',
    inherits: 'tunnel',
    load: () => import('./device/remove.ts'),
  },
  {
    path: 'doctor',
    summary: 'Check this machine and the way to the edge',
    inherits: 'tunnel',
    load: () => import('./doctor/doctor.ts'),
  },
  {
    path: 'edge run',
    summary: 'Run an edge node that connectors dial',
    inherits: 'log',
    load: () => import('./edge/run.ts'),
  },
  {
    path: 'edge token',
    summary: 'Print the API token, the password of SOCKS and HTTP proxy clients',
    inherits: 'tunnel',
    load: () => import('./edge/token.ts'),
  },
  {
    path: 'explain',
    summary: 'Follow one request hop by hop, and say where and why it fails',
    inherits: 'tunnel',
    load: () => import('./explain/explain.ts'),
  },
  {
    path: 'group add',
    summary: 'Add a group of users',
    inherits: 'tunnel',
    load: () => import('./group/add.ts'),
  },
  {
    path: 'group add-member',
    summary: 'Put a user into a group',
    inherits: 'tunnel',
    load: () => import('./group/add-member.ts'),
  },
  {
    path: 'group list',
    summary: 'List the groups and their members',
    inherits: 'tunnel',
    load: () => import('./group/list.ts'),
  },
  {
    path: 'group remove',
    summary: 'Remove a group',
    inherits: 'tunnel',
    load: () => import('./group/remove.ts'),
  },
  {
    path: 'group remove-member',
    summary: 'Take a user out of a group',
    inherits: 'tunnel',
    load: () => import('./group/remove-member.ts'),
  },
  {
    path: 'healthcheck',
    summary: 'Ask a connector or an edge whether it serves',
    inherits: 'log',
    load: () => import('./healthcheck.ts'),
  },
  {
    path: 'login',
    summary: 'Log in to an edge',
    hidden: true,
    inherits: 'tunnel',
    load: () => import('./tunnel/login.ts'),
  },
  {
    path: 'management token',
    summary: 'Print an access token for the connectors of a tunnel',
    inherits: 'tunnel',
    load: () => import('./management/token.ts'),
  },
  {
    path: 'ping',
    summary: 'Ping an address in a private network through its tunnel',
    inherits: 'tunnel',
    load: () => import('./ping.ts'),
  },
  {
    path: 'profile list',
    summary: 'List the API credentials that are kept under a name',
    inherits: 'log',
    load: () => import('./profile/list.ts'),
  },
  {
    path: 'profile use',
    summary: 'Choose the API credential that commands use',
    inherits: 'log',
    load: () => import('./profile/use.ts'),
  },
  {
    path: 'service install',
    summary: 'Run a connector or an edge whenever the machine runs',
    inherits: 'tunnel',
    load: () => import('./service/install.ts'),
  },
  {
    path: 'service logs',
    summary: 'Show what a service logged',
    inherits: 'log',
    load: () => import('./service/logs.ts'),
  },
  {
    path: 'service status',
    summary: 'Show the state of services',
    inherits: 'log',
    load: () => import('./service/status.ts'),
  },
  {
    path: 'service uninstall',
    summary: 'Remove a service',
    inherits: 'log',
    load: () => import('./service/uninstall.ts'),
  },
  {
    path: 'tail',
    summary: 'Follow the log of a connector, wherever it runs',
    inherits: 'tunnel',
    load: () => import('./management/tail.ts'),
  },
  {
    path: 'tail token',
    summary: 'Print an access token for the log of a tunnel',
    inherits: 'tunnel',
    load: () => import('./management/tail-token.ts'),
  },
  {
    path: 'token create',
    summary: 'Create an API token',
    inherits: 'tunnel',
    load: () => import('./token/create.ts'),
  },
  {
    path: 'token list',
    summary: 'List the API tokens of the account',
    inherits: 'tunnel',
    load: () => import('./token/list.ts'),
  },
  {
    path: 'token revoke',
    summary: 'Revoke an API token, and cut what runs with it',
    inherits: 'tunnel',
    load: () => import('./token/revoke.ts'),
  },
  {
    path: 'traceroute',
    summary: 'Show the hops to an address in a private network',
    inherits: 'tunnel',
    load: () => import('./traceroute.ts'),
  },
  {
    path: 'tunnel',
    summary: 'Publish one origin under a random name',
    inherits: 'tunnel',
    load: () => import('./tunnel/tunnel.ts'),
  },
  ...tunnelCommands,
  {
    path: 'update',
    summary: 'Put the newest release in place of this program',
    inherits: 'log',
    load: () => import('./update/update.ts'),
  },
  {
    path: 'user add',
    summary: 'Add a user, and print a code for the first login',
    inherits: 'tunnel',
    load: () => import('./user/add.ts'),
  },
  {
    path: 'user invite',
    summary: 'Print another login code for a user',
    inherits: 'tunnel',
    load: () => import('./user/invite.ts'),
  },
  {
    path: 'user list',
    summary: 'List the users of the account',
    inherits: 'tunnel',
    load: () => import('./user/list.ts'),
  },
  {
    path: 'user remove',
    summary: 'Remove a user with devices and tokens',
    inherits: 'tunnel',
    load: () => import('./user/remove.ts'),
  },
  {
    path: 'version',
    summary: 'Print the version',
    inherits: 'log',
    load: () => import('./version.ts'),
  },
  {
    path: 'whoami',
    summary: 'Show whom commands act for',
    inherits: 'tunnel',
    load: () => import('./whoami.ts'),
  },
];
